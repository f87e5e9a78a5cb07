/** Longest session JWT that is read, in characters. Longer ones are rejected unread. */
export const maxJwtLength = 16_384;

/**
 * Longest session JWT that is signed, in characters. Servers accept 16 KiB of headers; this leaves 2 KiB for the others of a
 * request with a JWT.
 */
export const maxSignedJwtLength = 14_336;

export type JsonObject = Readonly<Record<string, unknown>>;

/** Header and payload of a JWS in compact form (RFC 7515, section 3.1). Only the form is checked. */
export interface CompactJws {
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a JWS in compact form: three parts in canonical base64url, the first two hold JSON objects in UTF-8. Returns undefined
 * for everything else, and for a header with `crit` (section 4.1.11), because no extension is supported.
 */
export function parseCompactJws(text: string): CompactJws | undefined {
  if (text.length > maxJwtLength) return undefined;
  const parts = text.split(".", 4);
  const [headerBytes, payloadBytes, signature] = parts.map(decode);
  if (parts.length !== 3 || !headerBytes || !payloadBytes || !signature) return undefined;
  const header = readObject(headerBytes);
  const payload = readObject(payloadBytes);
  return header === undefined || payload === undefined || "crit" in header ? undefined : { header, payload };
}

/** Returns undefined if decoding loses something: lenient decoders drop bits, so that two texts would be the same JWT. */
function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : undefined;
}

function readObject(json: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(json));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
