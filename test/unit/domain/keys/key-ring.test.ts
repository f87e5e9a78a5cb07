import { randomBytes } from "node:crypto";
import { CompactSign, compactVerify } from "jose";
import { beforeEach, expect, test, vi } from "vitest";
import { unlimited } from "../../../../src/transport/call-context.ts";
import { KeyRing } from "../../../../src/domain/keys/key-ring.ts";
import { defaultPolicy } from "../../../../src/domain/policy.ts";
import { rewrapSigningKeys } from "../../../../src/domain/keys/key-material.ts";
import { masterKeyOf } from "../../../../src/domain/keys/sealing.ts";
import { type MemorySigningKeys, memorySigningKeys } from "../../../support/fixtures/in-memory.ts";
import { at, hour, must, newProject, projectId } from "../../../support/fixtures/stored.ts";

const bytes = randomBytes(32);
const masterKey = masterKeyOf(bytes);
const project = newProject({ id: projectId("one") });
const other = newProject({ id: projectId("two") });
const schedule = { rotationPeriodMs: 1000, publicationDelayMs: 100 };
let keys: MemorySigningKeys;
let time: Date;

beforeEach(() => {
  keys = memorySigningKeys();
  time = at(0);
});

const newRing = (current = masterKey, accepted = [masterKey], timetable = schedule) =>
  new KeyRing(keys, { current, accepted }, () => time, timetable);
const published = async (ring: KeyRing, owner = project) =>
  (await ring.publicJwks(owner, unlimited)).map(({ kid }) => kid);
const kidAt = async (ms: number, ring = newRing()) => {
  time = at(ms);
  return (await ring.signingKey(project, unlimited)).kid;
};
/** The keys that sign in concurrent calls on several replicas. */
const kidsOnReplicas = async () => {
  const rings = [newRing(), newRing(), newRing()];
  const used = await Promise.all([...rings, ...rings].map((ring) => ring.signingKey(project, unlimited)));
  return new Set(used.map(({ kid }) => kid));
};

test("concurrent first uses on several replicas create one key", async () => {
  expect(await kidsOnReplicas()).toEqual(new Set([must(keys.stored[0]).kid]));
  expect(keys.stored).toHaveLength(1);
});

test.each(["ES256", "EdDSA", "RS256"] as const)(
  "one replica verifies what another signs with %s",
  async (signatureAlgorithm) => {
    const owner = { ...project, policy: { ...defaultPolicy, signatureAlgorithm } };
    const signing = await newRing().signingKey(owner, unlimited);
    expect(signing.algorithm).toBe(signatureAlgorithm);
    const verifying = must(await newRing().verifyingKey(project.id, signing.kid, unlimited));
    const data = new TextEncoder().encode("data");
    const unsigned = new CompactSign(data).setProtectedHeader({ alg: signatureAlgorithm });
    expect((await compactVerify(await unsigned.sign(signing.key), verifying.key)).payload).toEqual(data);
  },
);

test("each project has its own key", async () => {
  const ring = newRing();
  const { kid } = await ring.signingKey(project, unlimited);
  expect((await ring.signingKey(other, unlimited)).kid).not.toBe(kid);
  expect(await ring.verifyingKey(project.id, kid, unlimited)).toBeDefined();
  expect(await ring.verifyingKey(other.id, kid, unlimited)).toBeUndefined();
});

test("reads key material once, and the state of a key every time", async () => {
  const ring = newRing();
  const { kid } = await ring.signingKey(project, unlimited);
  const before = keys.asked();
  for (let i = 0; i < 3; i++) {
    await ring.signingKey(project, unlimited);
    expect(await ring.verifyingKey(project.id, kid, unlimited)).toBeDefined();
  }
  expect(keys.asked()).toBe(before + 1);
  keys.change(kid, { revocation: { revision: 1, time } });
  expect(await ring.verifyingKey(project.id, kid, unlimited)).toBeUndefined();
  expect(await newRing().verifyingKey(project.id, kid, unlimited)).toBeUndefined();
});

test("publishes only public keys, and the first one before its use", async () => {
  const [jwk, ...others] = await newRing().publicJwks(project, unlimited);
  expect(others).toEqual([]);
  const { kid } = must(keys.stored[0]);
  const coordinate: unknown = expect.stringMatching(/^[\w-]{43}$/);
  const [x, y] = [coordinate, coordinate];
  expect(jwk).toEqual({ kty: "EC", crv: "P-256", x, y, kid, alg: "ES256", use: "sig" });
});

test("a rotation publishes the next key, which signs after the publication delay on every replica", async () => {
  const [one, two] = [newRing(), newRing()];
  const first = await kidAt(0, one);
  expect(await kidAt(10, two)).toBe(first);
  const next = await one.rotate(project, unlimited);
  expect(next).not.toBe(first);
  for (const ring of [one, two, newRing()]) {
    expect(await kidAt(109, ring)).toBe(first);
    expect(await published(ring)).toEqual([first, next]);
    expect(await kidAt(110, ring)).toBe(next);
    expect(await published(ring)).toEqual([next, first]);
  }
});

test("concurrent and repeated rotations create one key", async () => {
  await kidAt(0);
  const ring = newRing();
  const rings = [ring, ring, newRing(), newRing()];
  const asked = await Promise.all(rings.map((one) => one.rotate(project, unlimited)));
  expect(new Set(asked).size).toBe(1);
  time = at(99);
  expect(await ring.rotate(project, unlimited)).toBe(asked[0]);
  time = at(100);
  expect(await ring.rotate(project, unlimited)).not.toBe(asked[0]);
  expect(keys.stored).toHaveLength(3);
});

test("isSigningWith uses a cached schedule for the lifetime of a JWKS and misses no rotation", async () => {
  const timetable = { rotationPeriodMs: 0, publicationDelayMs: 600_000 };
  const [one, two] = [newRing(masterKey, [], timetable), newRing(masterKey, [], timetable)];
  const asked = vi.spyOn(keys, "signingSchedule");
  const { kid: first } = await two.signingKey(project, unlimited);
  const next = await one.rotate(project, unlimited);
  asked.mockClear();
  time = at(299_999);
  expect(await two.isSigningWith(project, first, unlimited)).toBe(true);
  expect(asked).not.toHaveBeenCalled();
  for (const ms of [300_000, 599_999, 600_000]) {
    time = at(ms);
    const isRotated = ms >= 600_000;
    expect(await two.isSigningWith(project, first, unlimited)).toBe(!isRotated);
    expect(await two.isSigningWith(project, next, unlimited)).toBe(isRotated);
  }
  expect(asked).toHaveBeenCalledTimes(2);
  time = at(0);
  expect(await two.isSigningWith(project, first, unlimited)).toBe(true);
});

test("the first rotation of a project without a key creates two", async () => {
  const next = await newRing().rotate(project, unlimited);
  expect(keys.stored).toHaveLength(2);
  expect(await kidAt(0)).not.toBe(next);
  expect(await kidAt(100)).toBe(next);
});

test("a key gets one successor after the rotation period", async () => {
  const first = await kidAt(0);
  expect(await kidAt(999)).toBe(first);
  expect(keys.stored).toHaveLength(1);
  time = at(1000);
  expect(await kidsOnReplicas()).toEqual(new Set([first]));
  expect(keys.stored).toHaveLength(2);
  const second = await kidAt(1100);
  expect(second).not.toBe(first);
  expect(await kidAt(2099)).toBe(second);
  expect(keys.stored).toHaveLength(2);
  await kidAt(2100);
  expect(keys.stored).toHaveLength(3);
});

test("publicJwks starts a rotation that is due", async () => {
  await kidAt(0);
  time = at(1000);
  expect(await newRing().publicJwks(project, unlimited)).toHaveLength(2);
});

test("without a rotation period only rotate() creates the next key", async () => {
  const ring = newRing(masterKey, [], { ...schedule, rotationPeriodMs: 0 });
  const first = await kidAt(0, ring);
  expect(await kidAt(1e12, ring)).toBe(first);
  expect(keys.stored).toHaveLength(1);
});

test("a retired key is published until its last JWT has expired, and verifies afterwards", async () => {
  const ring = newRing();
  const first = await kidAt(0, ring);
  const next = await ring.rotate(project, unlimited);
  const unscheduled = new KeyRing(keys, { current: masterKey, accepted: [] }, () => time);
  time = at(100 + hour);
  expect(await published(unscheduled)).toEqual([next, first]);
  time = at(100 + 2 * hour);
  expect(await published(unscheduled)).toEqual([next]);
  expect(await ring.verifyingKey(project.id, first, unlimited)).toBeDefined();
});

test("a revoked key is not published and has a successor", async () => {
  const ring = newRing();
  const first = await kidAt(0, ring);
  keys.change(first, { revocation: { revision: 1, time: at(5) }, retireTime: at(5) });
  const second = await kidAt(5, ring);
  expect(second).not.toBe(first);
  expect(await published(ring)).toEqual([second]);
});

test("a change of algorithm takes effect with the next rotation", async () => {
  const ring = newRing();
  await ring.signingKey(project, unlimited);
  const changed = { ...project, policy: { ...defaultPolicy, jwtProfile: "stytch" as const } };
  expect((await ring.signingKey(changed, unlimited)).algorithm).toBe("ES256");
  await ring.rotate(changed, unlimited);
  time = at(100);
  expect((await ring.signingKey(changed, unlimited)).algorithm).toBe("RS256");
  expect((await ring.publicJwks(changed, unlimited)).map(({ alg }) => alg)).toEqual(["RS256", "ES256"]);
});

test("a replica with a slow clock signs with a key that is not active yet", async () => {
  const first = await kidAt(1000);
  expect(await kidAt(500)).toBe(first);
});

test("the private key is stored sealed", async () => {
  await newRing().signingKey(project, unlimited);
  const { sealedPrivateKey, masterKeyId } = must(keys.stored[0]);
  expect(sealedPrivateKey.includes("PRIVATE KEY")).toBe(false);
  expect(masterKeyId).toBe(masterKey.id);
});

test("an error about a missing master key names the key and no secret", async () => {
  await newRing().signingKey(project, unlimited);
  const wrong = masterKeyOf(randomBytes(32));
  const textOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => String(error));
  const signing = textOf(newRing(wrong, []).signingKey(project, unlimited));
  const rewrapping = textOf(rewrapSigningKeys(keys, { current: wrong, accepted: [] }, time));
  for (const failure of await Promise.all([signing, rewrapping])) {
    expect(failure).toContain(masterKey.id);
    expect(failure).toContain(wrong.id);
    for (const secret of [bytes, wrong.bytes, must(keys.stored[0]).sealedPrivateKey]) {
      for (const encoding of ["hex", "base64", "base64url", "latin1"] as const) {
        expect(failure).not.toContain(secret.toString(encoding));
      }
    }
  }
});

test("an accepted master key opens keys, and is not needed after rewrapping", async () => {
  const kid = await kidAt(0);
  await newRing().signingKey(other, unlimited);
  const current = masterKeyOf(randomBytes(32));
  expect(await kidAt(1, newRing(current))).toBe(kid);
  expect(await rewrapSigningKeys(keys, { current, accepted: [masterKey] }, time)).toBe(2);
  expect(await kidAt(2, newRing(current, []))).toBe(kid);
  expect(await rewrapSigningKeys(keys, { current, accepted: [] }, time)).toBe(0);
  await expect(newRing().signingKey(project, unlimited)).rejects.toThrow(current.id);
});

test("rewraps any number of keys, except retired ones", async () => {
  const ring = newRing();
  const owners = Array.from({ length: 130 }, (_, i) => newProject({ id: projectId(`p${i}`) }));
  for (const owner of owners) await ring.signingKey(owner, unlimited);
  const { kid } = must(keys.stored[0]);
  keys.change(kid, { retireTime: time });
  const current = masterKeyOf(randomBytes(32));
  expect(await rewrapSigningKeys(keys, { current, accepted: [masterKey] }, time)).toBe(129);
  const unsealed = keys.stored.filter(({ masterKeyId }) => masterKeyId !== current.id);
  expect(unsealed.map((key) => key.kid)).toEqual([kid]);
});

test("a sealed key does not open for another project", async () => {
  await newRing().signingKey(project, unlimited);
  keys.stored.push({ ...must(keys.stored[0]), projectId: other.id });
  await expect(newRing().signingKey(other, unlimited)).rejects.toThrow("unable to authenticate");
});

test("does not cache a failure to load a key", async () => {
  const ring = newRing();
  const failing = vi.spyOn(keys, "findSigningKey").mockRejectedValueOnce(new Error("database away"));
  await expect(ring.signingKey(project, unlimited)).rejects.toThrow("database away");
  expect((await ring.signingKey(project, unlimited)).kid).toBe(must(keys.stored[0]).kid);
  expect(failing).toHaveBeenCalledTimes(2);
});
