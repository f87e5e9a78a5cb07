import { type KeyObject, createHmac, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import {
  SignJWT,
  calculateJwkThumbprint,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
} from "jose";
import { beforeAll, expect, test } from "vitest";
import { unlimited } from "../../../../src/transport/call-context.ts";
import { maxJwtLength } from "../../../../src/jwt/compact-jws.ts";
import { SessionJwts, type VerifyOptions } from "../../../../src/domain/keys/session-jwts.ts";
import { KeyRing } from "../../../../src/domain/keys/key-ring.ts";
import { masterKeyOf } from "../../../../src/domain/keys/sealing.ts";
import type { Session } from "../../../../src/domain/sessions/session.ts";
import { memorySigningKeys } from "../../../support/fixtures/in-memory.ts";
import {
  at,
  hour,
  must,
  newProject,
  newSession,
  organizationId,
  start,
} from "../../../support/fixtures/stored.ts";

const issuer = "https://sessions.example.com";
const keys = memorySigningKeys();
const newRing = () => new KeyRing(keys, { current: masterKeyOf(randomBytes(32)), accepted: [] }, () => start);
const keyRing = newRing();
const jwts = new SessionJwts(keyRing, issuer);
const project = newProject();
const foreign = newProject();
const session = sessionWith({});
const good = { projectId: project.id, sessionId: session.id };

let kid: string;
let key: KeyObject;
let jwt: string;

beforeAll(async () => {
  ({ kid, key } = await keyRing.signingKey(project, unlimited));
  jwt = await jwts.sign(session, project, start, unlimited);
});

function sessionWith(overrides: Partial<Session>): Session {
  return { ...newSession(project), createdRevision: 3, revocation: undefined, ...overrides };
}

function verify(text: string, options: Partial<VerifyOptions> = {}) {
  return jwts.verify(text, { projectId: project.id, now: start, times: "valid", ...options }, unlimited);
}

/** Valid claims, without optional ones. Times in seconds. */
function claimsOf(one: Session, now: number) {
  const { id, memberId, createdRevision } = one;
  const about = {
    iss: `${issuer}/${project.id}`,
    aud: [project.id],
    sub: memberId,
    sid: id,
    rev: createdRevision,
  };
  return { ...about, iat: now, nbf: now - 30, exp: now + 300 };
}

/** Signs a JWT whose valid claims are replaced by `claims`. */
function signed(
  claims: Record<string, unknown>,
  header: object = {},
  by: Parameters<SignJWT["sign"]>[0] = key,
) {
  const right = claimsOf(session, start.getTime() / 1000);
  const fullHeader = { alg: "ES256", kid, typ: "JWT", ...header };
  return new SignJWT({ ...right, ...claims }).setProtectedHeader(fullHeader).sign(by);
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

test("verifies a JWT for a given project and for the project of its audience", async () => {
  expect(await verify(jwt)).toMatchObject(good);
  expect(await verify(jwt, { projectId: undefined })).toMatchObject(good);
  expect(await verify(await signed({}))).toMatchObject(good);
});

test("writes the session into the claims, which custom claims cannot replace", async () => {
  const registered = "iss sub aud exp nbf iat jti sid organization_id roles rev".split(" ");
  const posing = Object.fromEntries(registered.map((name) => [name, "x"]));
  const customClaims = { plan: "gold", nested: { list: [1] }, ...posing };
  const rich = sessionWith({ organizationId: organizationId("acme"), roles: ["admin"], customClaims });
  const claims = decodeJwt(await jwts.sign(rich, project, at(1999), unlimited));
  expect(claims).toEqual({
    ...claimsOf(rich, at(1000).getTime() / 1000),
    organization_id: "acme",
    roles: ["admin"],
    plan: "gold",
    nested: { list: [1] },
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
  });
  const without = decodeJwt(await jwts.sign(sessionWith({ customClaims }), project, start, unlimited));
  expect(without).not.toHaveProperty("organization_id");
});

test.for([
  ["the policy's lifetime", {}, 0, 300_000],
  ["the session's end", { expireTime: at(100_900) }, 0, 100_000],
  ["the session's idle end", { idleTimeout: 30_500, lastAccessTime: at(-9000) }, 0, 30_000],
  [
    "the idle end if this access is not recorded",
    { idleTimeout: 30_500, lastAccessTime: at(-3000) },
    0,
    27_000,
  ],
  ["the session's end, with fractions of a second", { expireTime: at(100_300) }, 700, 100_000],
] as const)("expires no later than %s", async ([, overrides, now, end]) => {
  const claims = decodeJwt(await jwts.sign(sessionWith(overrides), project, at(now), unlimited));
  expect(claims.exp).toBe(at(end).getTime() / 1000);
});

test("a JWT is accepted up to 30 seconds after its expiry, or later if any time is", async () => {
  const end = must(decodeJwt(jwt).exp) * 1000 + 30_000;
  expect(await verify(jwt, { now: new Date(end - 1) })).toMatchObject(good);
  for (const now of [new Date(end), at(1000 * hour)]) {
    for (const times of ["valid", "valid or early"] as const) {
      expect(await verify(jwt, { now, times })).toMatchObject({ problem: "expired" });
    }
    expect(await verify(jwt, { now, times: "any" })).toMatchObject(good);
  }
});

test("a JWT is accepted up to 30 seconds before its time of issue, or earlier if early ones are", async () => {
  expect(await verify(jwt, { now: at(-30_000) })).toMatchObject(good);
  for (const now of [at(-30_001), at(-1000 * hour)]) {
    expect(await verify(jwt, { now })).toMatchObject({ problem: "time" });
    for (const times of ["valid or early", "any"] as const) {
      expect(await verify(jwt, { now, times })).toMatchObject(good);
    }
  }
});

const withHeader = (changes: object) =>
  jwt.replace(/^[^.]+/, encode({ alg: "ES256", kid, typ: "JWT", ...changes }));
const newPrivateKey = async () => (await generateKeyPair("ES256")).privateKey;
const past = { exp: start.getTime() / 1000 - 60 };
test.for<[name: string, problem: string, make: () => Promise<string>]>([
  ["another issuer", "issuer", () => signed({ iss: issuer })],
  ["the issuer of another project", "issuer", () => signed({ iss: `${issuer}/${foreign.id}` })],
  ["no issuer", "issuer", () => signed({ iss: undefined })],
  ["another audience", "audience", () => signed({ aud: [foreign.id] })],
  ["no audience", "audience", () => signed({ aud: undefined })],
  ["another type", "type", () => signed({}, { typ: "at+jwt" })],
  ["no type", "type", () => signed({}, { typ: undefined })],
  ["no session", "claims", () => signed({ sid: undefined })],
  ["a session that is not a UUID", "claims", () => signed({ sid: "' or 1=1" })],
  ["a session that is not a string", "claims", () => signed({ sid: [session.id] })],
  ["no revision", "claims", () => signed({ rev: undefined })],
  ["a revision that is not a whole number", "claims", () => signed({ rev: 1.5 })],
  ["no member", "claims", () => signed({ sub: undefined })],
  ["no expiry", "claims", () => signed({ exp: undefined })],
  ["no time of issue", "claims", () => signed({ iat: undefined })],
  ["another key's signature", "signature", async () => signed({}, {}, await newPrivateKey())],
  ["a key that is unknown", "key", () => signed({}, { kid: "unknown" })],
  ["no key id", "key", () => signed({}, { kid: undefined })],
  ["a key id that is not a string", "key", async () => withHeader({ kid: 7 })],
  ["a key id that cannot be stored", "key", () => signed({}, { kid: `${"\0".repeat(5)}\ud800` })],
  ["critical extensions", "form", async () => withHeader({ crit: ["x"], x: 1 })],
])("a JWT with %s is rejected (%s), whatever its times", async ([, problem, make]) => {
  const text = await make();
  expect(await verify(text)).toMatchObject({ problem });
  expect(await verify(text, { times: "any" })).toMatchObject({ problem });
});

test("any other problem has priority over the expiry", async () => {
  for (const claims of [{ iss: "x" }, { aud: "x" }, { sid: "x" }, { nbf: past.exp + 200 }]) {
    const verdict = await verify(await signed({ ...past, ...claims }));
    expect(verdict).toHaveProperty("problem");
    expect(verdict).not.toMatchObject({ problem: "expired" });
  }
});

test("rejects a JWT of another project, although the key ring knows its key", async () => {
  const theirs = await jwts.sign({ ...session, projectId: foreign.id }, foreign, start, unlimited);
  expect(await verify(theirs)).toMatchObject({ problem: "key" });
  expect(await verify(theirs, { projectId: undefined })).toMatchObject({ projectId: foreign.id });
  const { key: theirKey, kid: theirKid } = await keyRing.signingKey(foreign, unlimited);
  expect(await verify(await signed({}, { kid: theirKid }, theirKey))).toMatchObject({ problem: "key" });
  const forged = await signed({}, {}, theirKey);
  expect(await verify(forged, { projectId: undefined })).toMatchObject({ problem: "signature" });
});

test("accepts only the algorithm of the key", async () => {
  const [, payload] = jwt.split(".");
  const publicKey = must(keys.stored.find((stored) => stored.kid === kid)).publicJwk;
  expect(await calculateJwkThumbprint(publicKey)).toBe(kid);
  for (const alg of ["none", "None", "HS256", "RS256", "ES384", "", undefined, 7, ["ES256"]]) {
    const head = `${encode({ alg, kid, typ: "JWT" })}.${payload}`;
    const mac = createHmac("sha256", JSON.stringify(publicKey)).update(head).digest("base64url");
    for (const signature of ["", mac, must(jwt.split(".")[2])]) {
      expect(await verify(`${head}.${signature}`)).toMatchObject({ problem: "algorithm" });
    }
  }
});

test("rejects parts that only a lenient decoder accepts", async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const parts = jwt.split(".");
  for (const [i, part] of parts.entries()) {
    const sloppy = ["=", "==", "\n", " ", "!"].map((tail) => part + tail);
    const twin = part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.slice(-1)) ^ 1);
    if (Buffer.from(twin, "base64url").equals(Buffer.from(part, "base64url"))) sloppy.push(twin);
    for (const text of sloppy) {
      expect(await verify(parts.with(i, text).join("."))).toMatchObject({ problem: "form" });
    }
  }
});

test.for(["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA", "W10.W10.W10"])(
  "%j is not a JWT",
  async (text) => {
    for (const projectId of [project.id, undefined]) {
      expect(await verify(text, { projectId })).toHaveProperty("problem");
    }
  },
);

test("rejects text of any length", async () => {
  for (const length of [10_000, maxJwtLength, maxJwtLength + 1, 1_000_000]) {
    expect(await verify(`${jwt}${"A".repeat(length)}`)).toHaveProperty("problem");
  }
  const long = await signed({ pad: "x".repeat(maxJwtLength) });
  expect(await verify(long)).toMatchObject({ problem: "form" });
});

test("never throws for random text", async () => {
  const json = fc.json().map((text) => Buffer.from(text).toString("base64url"));
  const members = {
    alg: fc.constantFrom("ES256", 1, null),
    kid: fc.oneof(fc.constant(kid), fc.jsonValue()),
    typ: fc.jsonValue(),
    crit: fc.jsonValue(),
    b64: fc.jsonValue(),
  };
  const header = fc.record(members, { requiredKeys: [] }).map(encode);
  const aud = fc.oneof(fc.constant([project.id]), fc.jsonValue());
  const payload = fc.record({ aud, exp: fc.jsonValue() }).map(encode);
  const part = fc.oneof(fc.string(), fc.base64String(), json, header, payload);
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join(".")),
    fc.tuple(header, payload, json).map((parts) => parts.join(".")),
  );
  const property = fc.asyncProperty(texts, fc.boolean(), async (text, anyProject) => {
    expect(await verify(text, anyProject ? { projectId: undefined } : {})).toHaveProperty("problem");
  });
  await fc.assert(property, { numRuns: 400 });
});

test.for<[what: string, options: Partial<VerifyOptions>, problem: string]>([
  ["once it has expired", { now: at(330_000) }, "expired"],
  ["long before its time of issue", { now: at(-31_000) }, "time"],
  ["by another project", { projectId: foreign.id }, "key"],
])("a cached JWT is rejected %s", async ([, options, problem]) => {
  for (let i = 0; i < 3; i++) {
    expect(await verify(jwt)).toMatchObject(good);
    expect(await verify(jwt, options)).toMatchObject({ problem });
  }
});

test("a cached JWT is rejected on every replica after its key is revoked", async () => {
  const owner = newProject();
  const other = new SessionJwts(newRing(), issuer);
  const theirs = await jwts.sign({ ...session, projectId: owner.id }, owner, start, unlimited);
  const options = { projectId: owner.id, now: start, times: "any" } as const;
  for (const replica of [jwts, other, jwts, other]) {
    expect(await replica.verify(theirs, options, unlimited)).toMatchObject({ projectId: owner.id });
  }
  keys.change(must(decodeProtectedHeader(theirs).kid), { revocation: { revision: 1, time: start } });
  for (const replica of [jwts, other, jwts, other]) {
    expect(await replica.verify(theirs, options, unlimited)).toMatchObject({ problem: "key" });
  }
});

test("a cached signature does not count for another key with the same id", async () => {
  const { publicKey } = await generateKeyPair("ES256");
  const [one, two] = [newProject(), newProject()];
  const theirs = await jwts.sign({ ...session, projectId: one.id }, one, start, unlimited);
  const stored = must(keys.stored.find(({ projectId }) => projectId === one.id));
  keys.stored.push({ ...stored, projectId: two.id, publicJwk: await exportJWK(publicKey) });
  const accepted = { projectId: one.id };
  expect(await verify(theirs, { projectId: one.id })).toMatchObject(accepted);
  expect(await verify(theirs, { projectId: two.id })).toMatchObject({ problem: "signature" });
  expect(await verify(theirs, { projectId: one.id })).toMatchObject(accepted);
});

test("a rejected JWT does not affect the next one of the same key", async () => {
  const [header, payload, signature] = jwt.split(".");
  const changed = `${header}.${encode({ ...decodeJwt(jwt), sub: "eve" })}.${signature}`;
  const unsigned = `${header}.${payload}.${Buffer.alloc(64, 1).toString("base64url")}`;
  expect(await verify(jwt)).toMatchObject(good);
  for (const text of [changed, unsigned]) expect(await verify(text)).toMatchObject({ problem: "signature" });
  expect(await verify(jwt)).toMatchObject(good);
});
