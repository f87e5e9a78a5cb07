/** Longest text that is looked at as a session JWT, in characters; the server's own bound. */
export const maxJwtLength = 16_384;

/** The parts of a JWS in compact form (RFC 7515, section 3.1), nothing of them checked but their form. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  /** What was signed: the text before the second dot. */
  readonly signed: string;
  readonly signature: Buffer;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Takes a JWS apart; undefined where it is none: three parts in canonical base64url, the first two holding JSON objects. A
 * twin that differs only in bits that lenient decoders drop is another text. A header with `crit` demands extensions
 * (section 4.1.11); there are none here, so it has not the form either.
 */
export function parseCompactJws(text: string): CompactJws | undefined {
  if (text.length > maxJwtLength) return undefined;
  const parts = text.split(".");
  const [header, payload, signature] = parts.map(decode);
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const headerObject = readObject(header);
  const payloadObject = readObject(payload);
  if (headerObject === undefined || payloadObject === undefined || "crit" in headerObject) return undefined;
  const signed = text.slice(0, text.lastIndexOf("."));
  return { header: headerObject, payload: payloadObject, signed, signature };
}

function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : undefined;
}

function readObject(json: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(json));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `value` is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
