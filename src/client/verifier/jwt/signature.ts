import { type KeyObject, createPublicKey, verify } from "node:crypto";
import { isObject } from "./compact-jws.ts";

/** The allow-list: signature algorithms (RFC 7518, RFC 8037) that session JWTs may have. */
export type SignatureAlgorithm = "ES256" | "EdDSA" | "RS256";

/** A key of the project's JWKS. */
export interface VerifyingKey {
  readonly kid: string;
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

/** Shortest RSA modulus, in bits (RFC 7518, section 3.3). */
const minRsaBits = 2048;

/** Reads a key of a JWKS; undefined where it is none that this verifier checks signatures with. */
export function importKey(jwk: unknown): VerifyingKey | undefined {
  if (!isObject(jwk) || typeof jwk["kid"] !== "string" || jwk["kid"] === "") return undefined;
  if (jwk["use"] !== undefined && jwk["use"] !== "sig") return undefined;
  const algorithm = algorithmOf(jwk);
  if (algorithm === undefined) return undefined;
  try {
    // Node.js checks the members that it reads.
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < minRsaBits ? undefined : { kid: jwk["kid"], algorithm, key };
  } catch {
    return undefined;
  }
}

/** The one algorithm a key is for: told by its kind, and not contradicted by its `alg`. */
function algorithmOf({ kty, crv, alg }: Readonly<Record<string, unknown>>): SignatureAlgorithm | undefined {
  const algorithm = algorithmOfKind(kty, crv);
  return alg === undefined || alg === algorithm ? algorithm : undefined;
}

function algorithmOfKind(kty: unknown, crv: unknown): SignatureAlgorithm | undefined {
  if (kty === "EC" && crv === "P-256") return "ES256";
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  return kty === "RSA" ? "RS256" : undefined;
}

/** Whether the header's `alg` is on the allow-list. */
export function isAllowedAlgorithm(algorithm: unknown): algorithm is SignatureAlgorithm {
  return algorithm === "ES256" || algorithm === "EdDSA" || algorithm === "RS256";
}

/**
 * Whether `signature` is that of `signed` by `key`. Checked in this thread by node:crypto: that costs less than the same check
 * through WebCrypto, whose every call crosses a thread pool (`npm run bench:verify`), and blocks for a tenth of a millisecond.
 */
export function isSigned(key: VerifyingKey, signed: string, signature: Buffer): boolean {
  try {
    return isSignedBy(key, Buffer.from(signed, "latin1"), signature);
  } catch {
    return false;
  }
}

function isSignedBy({ algorithm, key }: VerifyingKey, signed: Buffer, signature: Buffer): boolean {
  switch (algorithm) {
    case "ES256":
      // r and s, 32 bytes each (RFC 7518, section 3.4); what has another length is none.
      return (
        signature.length === 64 && verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature)
      );
    case "EdDSA":
      return verify(null, signed, key, signature);
    case "RS256":
      return verify("sha256", signed, key, signature);
  }
}
