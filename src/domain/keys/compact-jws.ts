/** A JWS in compact form (RFC 7515, section 3.1), taken apart; nothing of it is checked but its form. */
export interface CompactJws {
  readonly header: ReadonlyMembers;
  readonly payload: ReadonlyMembers;
}

/** The members of a JSON object. */
export type ReadonlyMembers = Readonly<Record<string, unknown>>;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Takes a JWS apart; undefined where it is none: three parts in canonical base64url, the first two holding JSON objects. A
 * header with `crit` demands extensions (section 4.1.11); there are none here, so it has not the form either.
 */
export function parseCompactJws(text: string): CompactJws | undefined {
  const parts = text.split(".", 4);
  const [header, payload, signature] = parts.map(decode);
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const headerMembers = readObject(header);
  const payloadMembers = readObject(payload);
  if (headerMembers === undefined || payloadMembers === undefined) return undefined;
  return Object.hasOwn(headerMembers, "crit")
    ? undefined
    : { header: headerMembers, payload: payloadMembers };
}

/** Undefined where decoding loses something: a twin that differs only in bits that lenient decoders drop is another text. */
function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : undefined;
}

function readObject(json: Buffer): ReadonlyMembers | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(json));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `value` is a JSON object. */
export function isObject(value: unknown): value is ReadonlyMembers {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
