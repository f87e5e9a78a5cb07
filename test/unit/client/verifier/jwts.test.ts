import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import type { Verifier } from "../../../../src/client/verifier/verifier.ts";
import { manualVerifierClock } from "./verifier-clock.ts";
import {
  type ScriptedService,
  goodClaims,
  newKey,
  projectId,
  readyVerifier,
  scriptedService,
  signed,
  verifierOf,
} from "./scripted-service.ts";

const key = await newKey();
const stranger = await newKey();

let service: ScriptedService;
let verifier: Verifier;

beforeEach(async () => {
  service = await scriptedService(key);
  verifier = await readyVerifier(service);
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);

describe("a good JWT", () => {
  test.each(["ES256", "EdDSA", "RS256"])(
    "of %s is accepted with its claims, also from the cache",
    async (alg) => {
      const own = await newKey(alg);
      service.jwks.keys = [own.jwk];
      const claims = { ...goodClaims(), tier: { name: "gold" } };
      const jwt = await signed(own, claims);
      const verdict = await verifier.verify(jwt);
      expect(verdict).toEqual({
        ok: true,
        answeredBy: "verifier",
        stale: false,
        claims: {
          sessionId: claims.sid,
          memberId: "ada",
          organizationId: "acme",
          roles: ["admin"],
          revision: 0,
          issuedAt: claims.iat,
          notBefore: claims.nbf,
          expiresAt: claims.exp,
          payload: claims,
        },
      });
      expect(await verifier.verify(jwt)).toEqual(verdict);
      expect(verifier.status().held.jwts).toBe(1);
    },
  );

  test("may lack organization, roles, nbf and the key's alg, and its aud may be a string", async () => {
    const { alg: _, ...jwk } = key.jwk;
    service.jwks.keys = [jwk];
    const { organization_id: _1, roles: _2, nbf: _3, ...claims } = goodClaims();
    const spare = { ...claims, organization_id: undefined, roles: undefined, nbf: undefined, aud: projectId };
    expect(await verifier.verify(await signed(key, spare))).toMatchObject({
      ok: true,
      claims: { organizationId: undefined, roles: [] },
    });
  });

  test("has frozen claims", async () => {
    const verdict = await verifier.verify(await signed(key, { tier: { name: "gold" } }));
    if (!verdict.ok) throw new Error("expected a good JWT");
    expect(() => Object.assign(verdict.claims.payload["tier"] as object, { name: "lead" })).toThrow(
      TypeError,
    );
    expect(() => (verdict.claims.roles as string[]).push("root")).toThrow(TypeError);
  });
});

/** Defects and the check that each fails. */
const bad: Record<string, readonly [what: string, make: () => Promise<string>]> = {
  "no characters": ["form", async () => ""],
  "two parts": ["form", async () => (await signed(key)).replace(/\.[^.]*$/, "")],
  "a fourth part": ["form", async () => `${await signed(key)}.x`],
  "more than 16,384 characters": ["form", () => signed(key, { padding: "x".repeat(16_384) })],
  padding: ["form", async () => `${await signed(key)}=`],
  "a trailing space": ["form", async () => `${await signed(key)} `],
  "a signature that only a lenient decoder accepts": ["form", async () => twinOf(await signed(key))],
  "a payload that is not JSON": ["form", async () => withPayload(await signed(key), "not JSON")],
  "a payload that is a list": ["form", async () => withPayload(await signed(key), "[]")],
  "a payload that is not UTF-8": [
    "form",
    async () => withPayload(await signed(key), Buffer.from('{"a":"\xff"}', "latin1")),
  ],
  "a crit header": ["form", () => headed({ crit: ["exp"] })],
  "alg none": ["algorithm", async () => headed({ alg: "none" }, "")],
  "HS256 keyed with the public key": ["algorithm", async () => hs256()],
  "no alg": ["algorithm", async () => headed({ alg: undefined })],
  "an alg that is not the key's": ["algorithm", async () => headed({ alg: "RS256" })],
  "no kid": ["key", () => signed(key, {}, { kid: undefined })],
  "an unknown kid": ["key", () => signed(stranger)],
  "the kid __proto__": ["key", () => signed(key, {}, { kid: "__proto__" })],
  "an attacker's key under our kid": ["signature", () => signed({ ...stranger, kid: key.kid })],
  "an attacker's key in the header": [
    "signature",
    () => signed({ ...stranger, kid: key.kid }, {}, { jwk: stranger.jwk }),
  ],
  "another payload": ["signature", async () => withPayload(await signed(key), encode(goodClaims()), false)],
  "an empty signature": ["signature", async () => (await signed(key)).replace(/[^.]*$/, "")],
  "a signature of zeros": [
    "signature",
    async () => (await signed(key)).replace(/[^.]*$/, Buffer.alloc(64).toString("base64url")),
  ],
  "another typ": ["type", () => signed(key, {}, { typ: "at+jwt" })],
  "no typ": ["type", () => signed(key, {}, { typ: undefined })],
  "another issuer": ["issuer", () => signed(key, { iss: `other/${projectId}` })],
  "another project's issuer": ["issuer", () => signed(key, { iss: "sessiond/other" })],
  "another audience": ["audience", () => signed(key, { aud: ["other"] })],
  "no audience": ["audience", () => signed(key, { aud: undefined })],
  "no sid": ["claims", () => signed(key, { sid: undefined })],
  "a sid that is not a UUID": ["claims", () => signed(key, { sid: "session" })],
  "no sub": ["claims", () => signed(key, { sub: undefined })],
  "no rev": ["claims", () => signed(key, { rev: undefined })],
  "a rev that is not a whole number": ["claims", () => signed(key, { rev: 1.5 })],
  "a negative rev": ["claims", () => signed(key, { rev: -1 })],
  "no exp": ["claims", () => signed(key, { exp: undefined })],
  "no iat": ["claims", () => signed(key, { iat: undefined })],
  "roles that are not strings": ["claims", () => signed(key, { roles: [1] })],
  "an organization that is not a string": ["claims", () => signed(key, { organization_id: 1 })],
  "an nbf in the future": ["time", () => signed(key, { nbf: now() + 60 })],
  "an iat in the future": ["time", () => signed(key, { iat: now() + 60 })],
};

test.each(Object.entries(bad))("a JWT with %s is invalid", async (_, [what, make]) => {
  const jwt = await make();
  expect(await verifier.verify(jwt)).toEqual({ ok: false, reason: "invalid", what });
  expect(await verifier.verify(jwt)).toEqual({ ok: false, reason: "invalid", what });
});

test("rejects JWTs of keys that are not for signatures", async () => {
  const changes = [{ use: "enc" }, { alg: "RS256" }, { crv: "P-384" }, { kty: "oct", k: "AA" }];
  for (const change of changes) {
    service.jwks.keys = [{ ...key.jwk, ...change }];
    const fresh = verifierOf(service);
    expect(await fresh.verify(await signed(key))).toMatchObject({ what: "key" });
  }
});

describe("time", () => {
  test("expires a JWT 30 seconds after its exp, cached or not", async () => {
    const clock = manualVerifierClock();
    const timed = await readyVerifier(service, { clock, maxStaleness: 86_400_000 });
    const exp = now() + 10;
    const jwt = await signed(key, { exp });
    clock.suspend(exp * 1000 + 29_999 - clock.wall());
    expect(await timed.verify(jwt)).toMatchObject({ ok: true });
    clock.suspend(1);
    expect(await timed.verify(jwt)).toEqual({ ok: false, reason: "expired" });
    expect(timed.status().held.jwts).toBe(0);
    expect(await timed.verify(jwt)).toEqual({ ok: false, reason: "expired" });
  });

  test("accepts a JWT 30 seconds before it is valid, and no earlier", async () => {
    const clock = manualVerifierClock();
    const timed = await readyVerifier(service, { clock, maxStaleness: 86_400_000 });
    for (const claim of ["iat", "nbf"]) {
      const from = now() + 60;
      const jwt = await signed(key, { [claim]: from });
      clock.suspend(from * 1000 - 30_001 - clock.wall());
      expect(await timed.verify(jwt)).toMatchObject({ ok: false, what: "time" });
      clock.suspend(1);
      expect(await timed.verify(jwt)).toMatchObject({ ok: true });
    }
  });

  test("that is set back does not revive JWTs whose revocation may be forgotten", async () => {
    const clock = manualVerifierClock();
    const timed = await readyVerifier(service, { clock, maxStaleness: 86_400_000 });
    const begin = now();
    const jwt = await signed(key, { exp: begin + 10 });
    clock.suspend(120_000);
    clock.advance(1000);
    clock.suspend(-121_000);
    expect(await timed.verify(jwt)).toEqual({ ok: false, reason: "expired" });
    expect(await timed.verify(await signed(key, { iat: begin, nbf: begin }))).toMatchObject({ ok: true });
  });
});

test("caches at most cacheSize JWTs", async () => {
  const small = await readyVerifier(service, { cacheSize: 2 });
  for (let i = 0; i < 5; i++) await small.verify(await signed(key));
  expect(small.status().held.jwts).toBe(2);
  const none = await readyVerifier(service, { cacheSize: 0 });
  expect(await none.verify(await signed(key))).toMatchObject({ ok: true });
  expect(none.status().held.jwts).toBe(0);
});

function headed(header: object, signature = "AAAA"): Promise<string> {
  const whole = { alg: "ES256", kid: key.kid, typ: "JWT", ...header };
  return Promise.resolve(`${encode(whole)}.${encode(goodClaims())}.${signature}`);
}

function hs256(): string {
  const text = `${encode({ alg: "HS256", kid: key.kid, typ: "JWT" })}.${encode(goodClaims())}`;
  return `${text}.${createHmac("sha256", JSON.stringify(key.jwk)).update(text).digest("base64url")}`;
}

/** Replaces the payload. A `raw` payload is encoded first. */
function withPayload(jwt: string, payload: string | Buffer, raw = true): string {
  const [header = "", , signature = ""] = jwt.split(".");
  const part = raw ? Buffer.from(payload).toString("base64url") : String(payload);
  return `${header}.${part}.${signature}`;
}

/** Changes unused bits of the signature: the last of 86 characters holds only two bits of 64 bytes. */
function twinOf(jwt: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(jwt.at(-1) ?? "");
  return `${jwt.slice(0, -1)}${alphabet[last + 1]}`;
}
