import { randomBytes } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { characters, maxOpaqueIdLength } from "../../../../src/domain/ids.ts";
import { KeyRing } from "../../../../src/domain/keys/key-ring.ts";
import { masterKeyOf } from "../../../../src/domain/keys/sealing.ts";
import { SessionJwts } from "../../../../src/domain/keys/session-jwts.ts";
import { type Policy, defaultPolicy } from "../../../../src/domain/policy.ts";
import { problemOfClaims } from "../../../../src/domain/sessions/custom-claims.ts";
import {
  loginBounds,
  parseIpAddress,
  violationsOfJwtSize,
} from "../../../../src/domain/sessions/login-bounds.ts";
import { jwtProfiles } from "../../../../src/jwt/claims.ts";
import { maxJwtLength, maxSignedJwtLength } from "../../../../src/jwt/compact-jws.ts";
import { unlimited } from "../../../../src/transport/call-context.ts";
import { memorySigningKeys } from "../../../support/fixtures/in-memory.ts";
import {
  at,
  memberId,
  newProject,
  newSession,
  organizationId,
  projectId,
  start,
} from "../../../support/fixtures/stored.ts";

/** As long as the configuration allows. */
const issuer = "i".repeat(255);
const masterKeys = { current: masterKeyOf(randomBytes(32)), accepted: [] };
const jwts = new SessionJwts(new KeyRing(memorySigningKeys(), masterKeys, () => start), issuer);
// RSA signatures are the longest.
const projects = jwtProfiles.map((jwtProfile) => {
  const policy: Policy = { ...defaultPolicy, jwtProfile, signatureAlgorithm: "RS256" };
  return newProject({ id: projectId(jwtProfile.padEnd(64, "x")), policy });
});

/** Letters, and what takes most room: six bytes of JSON each for a control character, four for one beyond U+FFFF. */
const alphabets = ["a", "é", "\u0001", "😀", '"'];
const text = (min: number, max: number) =>
  fc
    .record({ letter: fc.constantFrom(...alphabets), length: fc.integer({ min, max }) })
    .map(({ letter, length }) => letter.repeat(length));

const logins = fc.record({
  memberId: text(1, maxOpaqueIdLength),
  organizationId: text(1, maxOpaqueIdLength),
  userAgent: text(0, loginBounds.userAgent),
  factors: fc.integer({ min: 0, max: loginBounds.factors }),
  roles: fc
    .array(text(1, loginBounds.role), { maxLength: loginBounds.roles })
    .filter((roles) => Buffer.byteLength(JSON.stringify(roles)) <= loginBounds.rolesBytes),
  customClaims: fc
    .dictionary(fc.string({ maxLength: 9 }), text(0, 4000), { maxKeys: 3 })
    .filter((claims) => problemOfClaims(claims as JsonObject) === undefined),
});

const longFactor = { method: "oauth", deliveryMethod: "access_token_exchange", assuranceLevel: "aal1" };

function sessionOf(login: typeof logins extends fc.Arbitrary<infer T> ? T : never) {
  return {
    ...newSession(newProject()),
    memberId: memberId(login.memberId),
    organizationId: organizationId(login.organizationId),
    device: { userAgent: login.userAgent, ipAddress: "f".repeat(loginBounds.ipAddress) },
    authenticationFactors: Array.from({ length: login.factors }, () => ({
      ...longFactor,
      authenticateTime: at(0),
    })),
    roles: login.roles,
    customClaims: login.customClaims as JsonObject,
  };
}

test("a login is refused or has short enough JWTs in every profile", async () => {
  let refused = 0;
  const property = fc.asyncProperty(logins, async (login) => {
    const session = sessionOf(login);
    const violations = violationsOfJwtSize(session);
    if (violations.length > 0) return void refused++;
    const signed = { ...session, createdRevision: Number.MAX_SAFE_INTEGER, revocation: undefined };
    for (const project of projects) {
      const jwt = await jwts.sign(signed, project, start, unlimited);
      expect(jwt.length).toBeLessThanOrEqual(maxSignedJwtLength);
    }
  });
  await fc.assert(property, { numRuns: 200 });
  expect(refused).toBeGreaterThan(0);
  expect(maxSignedJwtLength).toBeLessThan(maxJwtLength);
});

test("the largest login that is accepted uses most of the room", async () => {
  const fill = (length: number) => ({ a: "x".repeat(length) });
  const base = { memberId: "m", organizationId: "o", factors: 0, roles: ["r".repeat(250)] };
  const login = { ...base, userAgent: "\u0001".repeat(loginBounds.userAgent), customClaims: fill(0) };
  let length = 4000;
  while (violationsOfJwtSize(sessionOf({ ...login, customClaims: fill(length) })).length > 0) length--;
  expect(length).toBeGreaterThan(2000);
  const session = sessionOf({ ...login, customClaims: fill(length) });
  const signed = { ...session, createdRevision: Number.MAX_SAFE_INTEGER, revocation: undefined };
  const [, stytch] = projects;
  if (stytch === undefined) throw new Error("no second profile");
  const jwt = await jwts.sign(signed, stytch, start, unlimited);
  expect(jwt.length).toBeGreaterThan(maxSignedJwtLength - 600);
});

test("a login just too large is refused, also if it has few characters", () => {
  const six = "\u0001";
  const login = { memberId: six.repeat(255), organizationId: six.repeat(255), factors: 0, roles: [] };
  const half = { ...login, userAgent: six.repeat(600), customClaims: {} };
  expect(violationsOfJwtSize(sessionOf(half))).toEqual([]);
  const whole = { ...login, userAgent: six.repeat(1024), customClaims: {} };
  expect(violationsOfJwtSize(sessionOf(whole)).map(({ field }) => field)).toEqual([
    "member_id",
    "organization_id",
    "device.user_agent",
  ]);
});

test("names the fields that take the room", () => {
  const small = {
    memberId: "m",
    organizationId: "o",
    userAgent: "",
    factors: 0,
    roles: [],
    customClaims: {},
  };
  expect(violationsOfJwtSize(sessionOf(small))).toEqual([]);
  const violations = violationsOfJwtSize(
    sessionOf({ ...small, userAgent: "\u0001".repeat(1024), customClaims: { a: "x".repeat(4000) } }),
  );
  expect(violations.map(({ field }) => field)).toEqual(["device.user_agent", "custom_claims"]);
  expect(violations[0]?.description).toMatch(
    /^takes 6146 bytes of the session JWTs, which may spend 9728 bytes/,
  );
});

test.each([
  ["192.0.2.1"],
  ["::1"],
  ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"],
  ["fe80::1%eth0"],
  [`fe80::1%${"a".repeat(54)}`],
])("accepts the address %s as it is written", (address) => {
  expect(parseIpAddress(address)).toBe(address);
  expect(characters(address)).toBeLessThanOrEqual(loginBounds.ipAddress);
});

test.each([
  [""],
  ["localhost"],
  ["192.0.2.1 "],
  ["192.0.2"],
  ["::1%"],
  ["[::1]"],
  [`fe80::1%${"a".repeat(55)}`],
])("refuses the address %j", (address) => {
  expect(parseIpAddress(address)).toBeUndefined();
});
