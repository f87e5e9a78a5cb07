import type { CompactJws } from "./compact-jws.ts";
import { type ProjectId, isStorable, parseProjectId } from "../ids.ts";
import { type JwtSession, readClaims } from "./jwt-claims.ts";
import type { JwtProfile } from "../policy.ts";
import { type SignatureAlgorithm, signatureAlgorithms } from "../signature-algorithm.ts";

/** What a JWT says, as far as it is heeded: nothing of it is checked, and all of it is small. */
export interface JwtStatement {
  /** Undefined where it is not on the allow-list. */
  readonly algorithm: SignatureAlgorithm | undefined;
  /** Undefined where it cannot be that of a key. */
  readonly kid: string | undefined;
  /** Whether `typ` says that it is a JWT. */
  readonly isJwt: boolean;
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  /** The project that the audience names. */
  readonly projectId: ProjectId | undefined;
  /** By the profile in which to read it. */
  readonly session: Readonly<Record<JwtProfile, JwtSession | undefined>>;
}

/** Longest `kid` that is looked for, in characters; those made here have 43. */
const maxKidLength = 128;

/** What a JWT says. */
export function readStatement({ header, payload }: CompactJws): JwtStatement {
  const { alg, kid, typ } = header;
  const { iss, aud } = payload;
  const audience = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === "string");
  const isKid = typeof kid === "string" && kid.length <= maxKidLength && isStorable(kid);
  return {
    algorithm: signatureAlgorithms.find((one) => one === alg),
    kid: isKid ? kid : undefined,
    isJwt: typeof typ === "string" && /^(application\/)?jwt$/i.test(typ),
    issuer: typeof iss === "string" ? iss : undefined,
    audience,
    projectId: audience[0] === undefined ? undefined : parseProjectId(audience[0]),
    session: { default: readClaims(payload, "default"), stytch: readClaims(payload, "stytch") },
  };
}
