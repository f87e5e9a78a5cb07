import { hash } from "node:crypto";
import { type JwtProfile, type SessionReference, readSessionReference } from "./claims.ts";
import type { CompactJws } from "./compact-jws.ts";
import { type SignatureAlgorithm, signatureAlgorithms } from "./signature.ts";

/** The parts of a JWT that are checked against keys, issuer and time. Small, so that it can be cached; holds no other claim. */
export interface JwtStatement {
  /** Undefined if `alg` is not on the allow-list. */
  readonly algorithm: SignatureAlgorithm | undefined;
  /** Undefined if `kid` cannot be the id of a key. */
  readonly kid: string | undefined;
  /** Whether `typ` is JWT, in any case, with or without the prefix of media types (RFC 7515, section 4.1.9). */
  readonly isJwt: boolean;
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  /** The claims as each profile reads them. */
  readonly session: Readonly<Record<JwtProfile, SessionReference | undefined>>;
}

/** Longest `kid` that is looked up, in characters. The service's own have 43. */
export const maxKidLength = 128;

export function readStatement({ header, payload }: CompactJws): JwtStatement {
  const { alg, kid, typ } = header;
  const { iss, aud } = payload;
  return {
    algorithm: signatureAlgorithms.find((each) => each === alg),
    kid: typeof kid === "string" && isKid(kid) ? kid : undefined,
    isJwt: typeof typ === "string" && /^(application\/)?jwt$/i.test(typ),
    issuer: typeof iss === "string" ? iss : undefined,
    audience: (Array.isArray(aud) ? aud : [aud]).filter((each) => typeof each === "string"),
    session: {
      default: readSessionReference(payload, "default"),
      stytch: readSessionReference(payload, "stytch"),
    },
  };
}

/** Postgres can store neither NUL nor half a surrogate pair. */
function isKid(text: string): boolean {
  return text.length <= maxKidLength && !text.includes("\0") && text.isWellFormed();
}

/** Cache key of a JWT: its SHA-256, so that a cache holds no token. */
export function jwtCacheKey(jwt: string): string {
  return hash("sha256", jwt, "base64");
}
