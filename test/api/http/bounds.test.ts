import { spawnSync } from "node:child_process";
import { type JsonObject, type JsonValue, create, fromJson, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { JwtProfile } from "../../../gen/session/v1/project_pb.ts";
import { CreateRequestSchema, ListResponseSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

const service = await runningService();
const { projectId } = service;
const sessions = sessionsOf(service);
const setProfile = (jwtProfile: JwtProfile) =>
  projectsOf(service).updatePolicy({ projectId, policy: { jwtProfile } });

type Post = { readonly path: string; readonly type: string; readonly body: Uint8Array | string };

/** Ways to send a Create. */
const posts: Readonly<Record<string, (request: JsonObject) => Post>> = {
  REST: (request) => ({
    path: "/session/v1/sessions",
    type: "application/json",
    body: JSON.stringify(request),
  }),
  "Connect JSON": (request) => ({
    path: "/session.v1.SessionService/Create",
    type: "application/json",
    body: JSON.stringify(request),
  }),
  "Connect binary": (request) => ({
    path: "/session.v1.SessionService/Create",
    type: "application/proto",
    body: toBinary(CreateRequestSchema, fromJson(CreateRequestSchema, request)),
  }),
};

async function send({ path, type, body }: Post): Promise<{ status: number; text: string }> {
  const headers = { "content-type": type, authorization: service.basic };
  const response = await fetch(service.url + path, { method: "POST", headers, body });
  return { status: response.status, text: await response.text() };
}

function nested(levels: number, wrap: (inner: JsonValue) => JsonValue): JsonObject {
  let value: JsonValue = 1;
  for (let level = 1; level < levels; level++) value = wrap(value);
  return { a: value };
}

const inObject = (a: JsonValue): JsonValue => ({ a });
const inArray = (a: JsonValue): JsonValue => [a];

describe.each(Object.entries(posts))("over %s", (name, post) => {
  test.each([
    ["customClaims nested too deep", "custom_claims", { customClaims: nested(31, inObject) }],
    ["customClaims of many arrays", "custom_claims", { customClaims: nested(31, inArray) }],
    [
      "an address with an endless zone",
      "device.ip_address",
      { device: { ipAddress: `::1%${"a".repeat(999)}` } },
    ],
    ["a user agent that is too long", "device.user_agent", { device: { userAgent: "a".repeat(1025) } }],
    ["a member that is too long", "member_id", { memberId: "a".repeat(256) }],
    ["an organization that is too long", "organization_id", { organizationId: "a".repeat(256) }],
    ["a role that is too long", "roles[0]", { roles: ["a".repeat(256)] }],
    ["a method that is too long", "method", { authenticationFactors: [{ method: "a".repeat(65) }] }],
    [
      "a JWT that would be too long",
      "device.user_agent: takes 6146 bytes",
      { customClaims: filled, ...large },
    ],
    ["a JWT that would be too long", "custom_claims: takes 4008 bytes", { customClaims: filled, ...large }],
  ] as [string, string, JsonObject][])("%s is refused by name", async (_, field, request) => {
    const { status, text } = await send(post({ memberId: "bounds", ...request }));
    expect(status).toBe(400);
    expect(text).toContain(field);
  });

  test("numbers, keys and texts come back as they were written", async () => {
    const memberId = `m\u0301 é\ufffd\u200b\ufeff 😀${name}`;
    const customClaims = {
      numbers: [1e308, 5e-324, 0.1, -1e-7, 1e21, 9007199254740994, 0.30000000000000004],
      ["__proto__"]: { constructor: 1 },
      ["\u00e9 e\u0301 \u2028"]: " \t\n ",
    };
    const posted = { memberId, customClaims, roles: [" a ", "A", "a"], device: { userAgent: " u " } };
    expect((await send(post(posted))).status).toBe(200);
    const { sessions: listed } = await sessions.list({ memberId });
    expect(listed).toMatchObject([{ memberId, roles: [" a ", "A", "a"], device: { userAgent: " u " } }]);
    expect(JSON.stringify(listed[0]?.customClaims?.["numbers"])).toBe(JSON.stringify(customClaims.numbers));
    expect(Object.keys(listed[0]?.customClaims ?? {}).sort()).toEqual(Object.keys(customClaims).sort());
  });

  test.each([
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["2026-03-01T12:00:00.999999999Z", "2026-03-01T12:00:00.999Z"],
    ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"],
  ])("the time %s is kept to the millisecond", async (authenticateTime, kept) => {
    const memberId = `${authenticateTime} ${name}`;
    const authenticationFactors = [{ method: "password", authenticateTime }];
    expect((await send(post({ memberId, authenticationFactors }))).status).toBe(200);
    const [session] = (await sessions.list({ memberId })).sessions;
    const time = session?.authenticationFactors[0]?.authenticateTime;
    expect(time && timestampDate(time).toISOString()).toBe(kept);
  });

  test("what is accepted is read back over gRPC, by every client", async () => {
    const memberId = `deep-${name}`;
    for (const wrap of [inObject, inArray]) {
      expect((await send(post({ memberId, customClaims: nested(30, wrap) }))).status).toBe(200);
    }
    const { sessions: listed } = await sessions.list({ memberId });
    expect(listed.map(({ customClaims }) => customClaims)).toEqual([
      nested(30, inArray),
      nested(30, inObject),
    ]);
  });
});

/** Fields that are each within their bounds. */
const large = { organizationId: "\u0001".repeat(255), device: { userAgent: "\u0001".repeat(1024) } };
const filled = { a: "x".repeat(4000) };

/** Nearly the most that a login may state. */
const largest = {
  memberId: "m".repeat(255),
  organizationId: "o".repeat(255),
  device: { userAgent: "u".repeat(200), ipAddress: `fe80::1%${"z".repeat(54)}` },
  roles: Array.from({ length: 15 }, (_, i) => String(i).repeat(125)),
  customClaims: filled,
};

describe.each([
  ["default", JwtProfile.DEFAULT],
  ["Stytch's", JwtProfile.STYTCH],
])("with the profile %s, what Create hands out is accepted back", (_, profile) => {
  test.each([
    ["by Create", profile],
    ["after the policy changed", profile === JwtProfile.DEFAULT ? JwtProfile.STYTCH : JwtProfile.DEFAULT],
  ])("%s", async (_name, later) => {
    await setProfile(profile);
    const { session, token, jwt: first } = await sessions.create(largest);
    await setProfile(later);
    const issued = await sessions.authenticate({
      credential: { case: "token", value: token },
      issueJwt: true,
    });
    const rotated = await sessions.rotateToken({ token, issueJwt: true });
    for (const jwt of [first, issued.jwt, rotated.jwt]) {
      const { session: found } = await sessions.authenticate({ credential: { case: "jwt", value: jwt } });
      expect(found?.id).toBe(session?.id);
      const bearer = `Bearer ${jwt}`;
      const overRest = await fetch(`${service.url}/session/v1/sessions`, {
        headers: { authorization: bearer, "user-agent": "u".repeat(300), cookie: "c".repeat(1000) },
      });
      expect(overRest.status).toBe(200);
      const { sessions: own } = await sessionsOf(service, bearer).list({});
      expect(own.map(({ id }) => id)).toContain(session?.id);
    }
    expect(Math.max(first.length, issued.jwt.length)).toBeGreaterThan(9_900);
    await sessions.revoke({ target: { case: "jwt", value: first } });
  });
});

test("no page of a List is larger than the 4 MiB that gRPC clients accept", async () => {
  const customClaims = { a: Array.from({ length: 2040 }, () => 1) };
  const creations = Array.from({ length: 220 }, () => sessions.create({ memberId: "large", customClaims }));
  const created = (await Promise.all(creations)).map(({ session }) => session?.id ?? "");
  const listed: string[] = [];
  let pageToken = "";
  do {
    const page = await sessions.list({ memberId: "large", pageSize: 1000, pageToken });
    expect(toBinary(ListResponseSchema, page).length).toBeLessThan(4 * 2 ** 20);
    listed.push(...page.sessions.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(listed.sort()).toEqual(created.sort());
});

// C-core and Java accept 8 KiB of headers and trailers.
test("an error with many violations names the first of them, and every client can read it", async () => {
  const factor = { method: "", deliveryMethod: "d".repeat(65), assuranceLevel: "l".repeat(17) };
  const call = sessions.create({
    memberId: "a",
    authenticationFactors: Array.from({ length: 32 }, () => factor),
  });
  const error = ConnectError.from(await call.catch((reason: unknown) => reason));
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  expect(violations.map(({ field }) => field)).toHaveLength(10);
  expect(violations[0]?.field).toBe("authentication_factors[0].method");
  expect(error.rawMessage).toMatch(/; and 86 more$/);
  const size = Array.from(error.metadata).reduce(
    (sum, [key, value]) => sum + key.length + value.length + 32,
    0,
  );
  expect(size + 3 * error.rawMessage.length).toBeLessThan(8192);
});

const hasProtoc = spawnSync("protoc", ["--version"]).status === 0;
if (!hasProtoc) console.log("skipped, because protoc is not installed: the C++ reader of a List");

test.skipIf(!hasProtoc)(
  "the C++ reader, which gives up at 100 levels, reads a List of the deepest claims",
  () => {
    const decode = (levels: number) => {
      const message = create(ListResponseSchema, {
        sessions: [{ customClaims: nested(levels, inObject) }],
      });
      const args = ["--decode=session.v1.ListResponse", "-Iproto", "-Iproto/third_party"];
      const input = toBinary(ListResponseSchema, message);
      return spawnSync("protoc", [...args, "session/v1/session_service.proto"], { input, encoding: "utf8" });
    };
    expect(decode(30)).toMatchObject({ status: 0, stdout: expect.stringContaining("number_value: 1") });
    // Room for the messages of answers to come: the bound is not at the edge.
    expect(decode(32).status).toBe(0);
    expect(decode(34).status).toBe(1);
  },
);
