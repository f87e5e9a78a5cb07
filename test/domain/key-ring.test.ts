import { randomBytes } from "node:crypto";
import { beforeEach, expect, test, vi } from "vitest";
import { KeyRing } from "../../src/domain/key-ring.ts";
import { masterKeyOf } from "../../src/domain/sealing.ts";
import { memorySigningKeys } from "../support/memory-signing-keys.ts";
import { must, projectId, start } from "../support/stored.ts";

const bytes = randomBytes(32);
const masterKey = masterKeyOf(bytes);
const project = projectId("one");
let keys: ReturnType<typeof memorySigningKeys>;

beforeEach(() => {
  keys = memorySigningKeys();
});

const newRing = (key = masterKey) => new KeyRing(keys, key, () => start);

test("the first use makes a key, however many use it at once, on however many replicas", async () => {
  const rings = [newRing(), newRing(), newRing()];
  const used = await Promise.all([...rings, ...rings].map((ring) => ring.signingKey(project)));
  expect(new Set(used.map(({ kid }) => kid))).toEqual(new Set([must(keys.stored[0]).kid]));
  expect(keys.stored).toHaveLength(1);
});

test("what one replica signs, another verifies", async () => {
  const { kid, key } = await newRing().signingKey(project);
  const verifying = must(await newRing().verifyingKey(project, kid));
  const data = Buffer.from("data");
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, key, data);
  expect(await crypto.subtle.verify(algorithm, verifying.key, signature, data)).toBe(true);
});

test("each project has its own key, which verifies for no other", async () => {
  const ring = newRing();
  const other = projectId("two");
  const { kid } = await ring.signingKey(project);
  expect((await ring.signingKey(other)).kid).not.toBe(kid);
  expect(await ring.verifyingKey(project, kid)).toBeDefined();
  expect(await ring.verifyingKey(other, kid)).toBeUndefined();
});

test("a key once seen is not asked for again, one that is unknown always is", async () => {
  const ring = newRing();
  const { kid } = await ring.signingKey(project);
  for (let i = 0; i < 3; i++) await ring.verifyingKey(project, kid);
  expect(keys.asked()).toBe(1);
  for (let i = 0; i < 3; i++) expect(await ring.verifyingKey(project, "unknown")).toBeUndefined();
  expect(keys.asked()).toBe(4);
});

test("publishes public keys only, the first before it is used", async () => {
  const [jwk, ...others] = await newRing().publicJwks(project);
  expect(others).toEqual([]);
  const { kid } = must(keys.stored[0]);
  const coordinate: unknown = expect.stringMatching(/^[\w-]{43}$/);
  expect(jwk).toEqual({
    kty: "EC",
    crv: "P-256",
    x: coordinate,
    y: coordinate,
    kid,
    alg: "ES256",
    use: "sig",
  });
});

test("the private key is stored sealed", async () => {
  await newRing().signingKey(project);
  const { sealedPrivateKey, masterKeyId } = must(keys.stored[0]);
  expect(sealedPrivateKey.includes("PRIVATE KEY")).toBe(false);
  expect(masterKeyId).toBe(masterKey.id);
});

test("another master key is refused in words that tell which, and no secret", async () => {
  await newRing().signingKey(project);
  const other = masterKeyOf(randomBytes(32));
  const failure = await newRing(other)
    .signingKey(project)
    .catch((error: unknown) => String(error));
  expect(failure).toContain(masterKey.id);
  expect(failure).toContain(other.id);
  for (const secret of [bytes, other.bytes, must(keys.stored[0]).sealedPrivateKey])
    for (const encoding of ["hex", "base64", "base64url", "latin1"] as const)
      expect(failure).not.toContain(secret.toString(encoding));
});

test("a sealed key that was moved to another project does not open there", async () => {
  await newRing().signingKey(project);
  const other = projectId("two");
  keys.stored.push({ ...must(keys.stored[0]), projectId: other });
  await expect(newRing().signingKey(other)).rejects.toThrow("unable to authenticate");
});

test("a failure to load is not remembered", async () => {
  const ring = newRing();
  const failing = vi.spyOn(keys, "activeSigningKey").mockRejectedValueOnce(new Error("database away"));
  await expect(ring.signingKey(project)).rejects.toThrow("database away");
  expect((await ring.signingKey(project)).kid).toBe(must(keys.stored[0]).kid);
  expect(failing).toHaveBeenCalledTimes(2);
});
