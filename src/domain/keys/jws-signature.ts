import { type KeyObject, sign, verify } from "node:crypto";
import type { SignatureAlgorithm } from "../signature-algorithm.ts";

/** A key, private to sign or public to verify, and the one algorithm it is for. */
export interface SignatureKey {
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

/**
 * The signature of `text`, which is ASCII, as a JWS has it (RFC 7515, section 5.1). An elliptic curve signs in this thread: that
 * takes 35 to 50 microseconds, and crossing to the thread pool and back costs as much again. An RSA key of 2048 bits takes up to
 * a millisecond, which is for another thread.
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

/** Whether `jws`, which has the compact form, was signed by the private half of the key. In this thread, for the same reasons. */
export function isSignedBy({ algorithm, key }: SignatureKey, jws: string): boolean {
  const end = jws.lastIndexOf(".");
  const data = Buffer.from(jws.slice(0, end), "latin1");
  const signature = Buffer.from(jws.slice(end + 1), "base64url");
  switch (algorithm) {
    case "ES256":
      return verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature);
    case "EdDSA":
      return verify(null, data, key, signature);
    case "RS256":
      return verify("sha256", data, key, signature);
  }
}
