import { type KeyObject, createPublicKey, sign, verify } from "node:crypto";
import { isJsonObject } from "./compact-jws.ts";

/** The allow-list of signature algorithms for session JWTs (RFC 7518, RFC 8037). */
export const signatureAlgorithms = ["ES256", "EdDSA", "RS256"] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** A private key to sign with or a public key to verify with, and its only algorithm. */
export interface SignatureKey {
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

export interface KeyWithId extends SignatureKey {
  readonly kid: string;
}

/** Shortest RSA modulus, in bits (RFC 7518, section 3.3). */
const minRsaBits = 2048;

/**
 * Signs ASCII text (RFC 7515, section 5.1). Elliptic curves sign in this thread: it takes 35 to 50 microseconds, and crossing to
 * the thread pool and back costs the same again. RSA with 2048 bits takes up to a millisecond and uses the pool.
 */
export async function signatureOf({ algorithm, key }: SignatureKey, text: string): Promise<Buffer> {
  const data = Buffer.from(text, "latin1");
  switch (algorithm) {
    case "ES256":
      // r and s, 32 bytes each (RFC 7518, section 3.4).
      return sign("sha256", data, { key, dsaEncoding: "ieee-p1363" });
    case "EdDSA":
      return sign(null, data, key);
    case "RS256":
      return new Promise((resolve, reject) =>
        sign("sha256", data, key, (error, signature) =>
          error === null ? resolve(signature) : reject(error),
        ),
      );
  }
}

/**
 * Reports whether the private half of `key` signed `jws`, which has the compact form. Runs in this thread: it takes about 100
 * microseconds, which is less than the same check through WebCrypto and its thread pool (`npm run bench:verify`).
 */
export function isSignedBy({ algorithm, key }: SignatureKey, jws: string): boolean {
  const end = jws.lastIndexOf(".");
  const data = Buffer.from(jws.slice(0, end), "latin1");
  const signature = Buffer.from(jws.slice(end + 1), "base64url");
  try {
    switch (algorithm) {
      case "ES256":
        return (
          signature.length === 64 && verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature)
        );
      case "EdDSA":
        return verify(null, data, key, signature);
      case "RS256":
        return verify("sha256", data, key, signature);
    }
  } catch {
    return false;
  }
}

/** Reads a key of a JWKS. Returns undefined if it cannot verify signatures with an algorithm of the allow-list. */
export function readJwk(jwk: unknown): KeyWithId | undefined {
  if (!isJsonObject(jwk)) return undefined;
  const { kid, use, kty, crv, alg } = jwk;
  if (typeof kid !== "string" || kid === "" || (use !== undefined && use !== "sig")) return undefined;
  const algorithm = algorithmOfKeyType(kty, crv);
  if (algorithm === undefined || (alg !== undefined && alg !== algorithm)) return undefined;
  try {
    // Node.js checks the members that it reads.
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < minRsaBits ? undefined : { kid, algorithm, key };
  } catch {
    return undefined;
  }
}

function algorithmOfKeyType(kty: unknown, crv: unknown): SignatureAlgorithm | undefined {
  if (kty === "EC" && crv === "P-256") return "ES256";
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  return kty === "RSA" ? "RS256" : undefined;
}
