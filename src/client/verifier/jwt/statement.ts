import { type SessionClaims, readClaims } from "./claims.ts";
import type { CompactJws } from "./compact-jws.ts";
import type { Invalidity } from "../verdict.ts";

/** Whose JWTs are taken. */
export interface Expectation {
  /** `<issuer>/<project id>`. */
  readonly issuer: string;
  /** The project id. */
  readonly audience: string;
}

/** A JWT whose signature and claims hold; only time and revocation can still end it. */
export interface Statement {
  readonly claims: SessionClaims;
  /** The key that signed it. */
  readonly kid: string;
}

/** The claims of a signed JWT, or what is wrong with what it states. */
export function readStatement(
  { header, payload }: CompactJws,
  { issuer, audience }: Expectation,
): SessionClaims | Invalidity {
  if (!isJwtType(header["typ"])) return "type";
  if (payload["iss"] !== issuer) return "issuer";
  const { aud } = payload;
  if (aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) return "audience";
  return readClaims(payload) ?? "claims";
}

/** `JWT` in any case, with or without the prefix of media types (RFC 7515, section 4.1.9). */
function isJwtType(typ: unknown): boolean {
  return typeof typ === "string" && /^(application\/)?jwt$/i.test(typ);
}

/** What the time says of a JWT: `now` in milliseconds since 1970, `tolerance` in milliseconds for clocks that differ. */
export function timeliness(
  { issuedAt, notBefore = issuedAt, expiresAt }: SessionClaims,
  now: number,
  tolerance: number,
): "early" | "timely" | "expired" {
  if (Math.max(issuedAt, notBefore) * 1000 > now + tolerance) return "early";
  return expiresAt * 1000 + tolerance <= now ? "expired" : "timely";
}
