import { KeyObject, createPrivateKey, createPublicKey } from "node:crypto";
import * as fc from "fast-check";
import { CompactSign, compactVerify, exportPKCS8, generateKeyPair } from "jose";
import { describe, expect, test } from "vitest";
import { isSignedBy, signatureOf } from "../../../src/jwt/signature.ts";
import { ed25519Example, p256Example, rsaExample } from "./rfc-examples.ts";

const keyOf = (jwk: Record<string, string>) => createPrivateKey({ key: jwk, format: "jwk" });

test.each([
  ["RS256", "RFC 7515, appendix A.2", rsaExample],
  ["EdDSA", "RFC 8037, appendix A.4", ed25519Example],
] as const)("%s signs the example of %s", async (algorithm, _, { jwk, signed, signature }) => {
  const made = await signatureOf({ algorithm, key: keyOf(jwk) }, signed);
  expect(made.toString("base64url")).toBe(signature);
});

test("RS256 signs in another thread", async () => {
  let done = false;
  const signing = signatureOf({ algorithm: "RS256", key: keyOf(rsaExample.jwk) }, "x").then(
    () => (done = true),
  );
  for (let i = 0; i < 1000; i++) await Promise.resolve();
  expect(done).toBe(false);
  expect(await signing).toBe(true);
});

test("ES256 signs with the key of RFC 7515, appendix A.3", async () => {
  const { jwk, signed } = p256Example;
  const key = keyOf(jwk);
  const made = await signatureOf({ algorithm: "ES256", key }, signed);
  expect(made).toHaveLength(64);
  const { payload } = await compactVerify(`${signed}.${made.toString("base64url")}`, createPublicKey(key));
  expect(Buffer.from(payload).toString()).toContain("http://example.com/is_root");
});

test.each([
  ["RS256", rsaExample],
  ["EdDSA", ed25519Example],
  ["ES256", p256Example],
] as const)(
  "verifies the published signature of %s and no other",
  (algorithm, { jwk, signed, signature }) => {
    const key = { algorithm, key: createPublicKey(keyOf(jwk)) };
    expect(isSignedBy(key, `${signed}.${signature}`)).toBe(true);
    expect(isSignedBy(key, `${signed}A.${signature}`)).toBe(false);
    const bytes = Buffer.from(signature, "base64url");
    const flipped = fc.nat(bytes.length * 8 - 1).map((bit) => {
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      return other;
    });
    const others = fc.oneof(fc.uint8Array({ maxLength: 300 }), flipped);
    const property = fc.property(others, (other) => {
      expect(isSignedBy(key, `${signed}.${Buffer.from(other).toString("base64url")}`)).toBe(false);
    });
    fc.assert(property, { numRuns: 100 });
  },
);

describe.each(["ES256", "EdDSA", "RS256"] as const)("%s", (algorithm) => {
  test("verifies what jose signs", async () => {
    const { privateKey, publicKey } = await generateKeyPair(algorithm);
    const signing = new CompactSign(Buffer.from("text")).setProtectedHeader({ alg: algorithm });
    const key = { algorithm, key: KeyObject.from(publicKey) };
    expect(isSignedBy(key, await signing.sign(privateKey))).toBe(true);
  });

  test("signs what jose verifies, and only with this key", async () => {
    const one = await generateKeyPair(algorithm, { extractable: true });
    const other = await generateKeyPair(algorithm);
    const key = { algorithm, key: createPrivateKey(await exportPKCS8(one.privateKey)) };
    const header = Buffer.from(JSON.stringify({ alg: algorithm })).toString("base64url");
    const property = fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
      const signed = `${header}.${Buffer.from(text).toString("base64url")}`;
      const jws = `${signed}.${(await signatureOf(key, signed)).toString("base64url")}`;
      const { payload } = await compactVerify(jws, one.publicKey);
      expect(isSignedBy({ algorithm, key: createPublicKey(key.key) }, jws)).toBe(true);
      expect(Buffer.from(payload)).toEqual(Buffer.from(text));
      expect(isSignedBy({ algorithm, key: KeyObject.from(other.publicKey) }, jws)).toBe(false);
      await expect(compactVerify(jws, other.publicKey)).rejects.toThrow("signature");
    });
    await fc.assert(property, { numRuns: 30 });
  });
});
