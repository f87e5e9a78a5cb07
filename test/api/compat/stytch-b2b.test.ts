import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { type Login, newLogin, revokedLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { stytchError, stytchSuccess, unauthorized } from "./stytch-answers.ts";

const service = await runningService();
const otherProject = await runningService({
  databaseUrl: service.databaseUrl,
  projectId: "project-test-other",
});
await projectsOf(service).updatePolicy({
  projectId: service.projectId,
  policy: { roleGrants: [{ role: "admin", permissions: [Permission.SESSIONS_REVOKE] }] },
});

const credentials = `${service.projectId}:${service.secret}`;
const memberSession = "X-Stytch-Member-Session";
const memberSessionJwt = "X-Stytch-Member-SessionJWT";
const invalidMemberSession = stytchError(401, "session_not_found", "Session could not be found.");
const notAllowed = stytchError(
  403,
  "session_authorization_error",
  "The member session may not revoke this session.",
);

async function revoke(body: object, headers: Record<string, string> = {}, version = "--http1.1") {
  const more = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const url = `${service.url}/v1/b2b/sessions/revoke`;
  const answer = await curl(version, url, "-u", credentials, "--json", JSON.stringify(body), ...more);
  const json = JSON.parse(answer.body);
  expect(json.status_code).toBe(answer.status);
  return { json, text: answer.body, headers: answer.headers };
}

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  const targets: [name: string, value: (login: Login) => string, reason: string][] = [
    ["member_session_id", ({ id }) => id, "SESSION_REVOKED"],
    ["session_token", ({ token }) => token, "SESSION_REVOKED"],
    ["session_jwt", ({ jwt }) => jwt, "SESSION_REVOKED"],
    ["member_id", ({ memberId }) => memberId, "SESSION_REVOKED_BY_CUTOFF"],
  ];
  test.each(targets)("ends by %s, and answers alike again", async (name, value, reason) => {
    const login = await newLogin(service);
    const { text, json } = await revoke({ [name]: value(login) }, {}, version);
    expect(json).toEqual(stytchSuccess);
    expect(text).toBe(`{"request_id":"${json.request_id}","status_code":200}`);
    expect(await verdictOn(service, login)).toBe(reason);
    expect((await revoke({ [name]: value(login) }, {}, version)).json).toEqual(stytchSuccess);
  });
});

test("member_id ends all of the member's sessions; a member without any answers 200", async () => {
  const first = await newLogin(service);
  const second = await newLogin(service, { memberId: first.memberId, organizationId: "org-a" });
  const colleague = await newLogin(service, { organizationId: "org-a" });
  expect((await revoke({ member_id: first.memberId })).json).toEqual(stytchSuccess);
  expect(await verdictOn(service, first)).toBe("SESSION_REVOKED_BY_CUTOFF");
  expect(await verdictOn(service, second)).toBe("SESSION_REVOKED_BY_CUTOFF");
  expect(await verdictOn(service, colleague)).toBe("active");
  expect((await revoke({ member_id: `nobody-${randomUUID()}` })).json).toEqual(stytchSuccess);
});

const named = "member_session_id, session_token, session_jwt, member_id";
test.each<[body: object, type: string, message: unknown]>([
  [{}, "no_session_revoke_arguments", `Exactly one of ${named} is required.`],
  [
    { member_id: "m", session_token: "t" },
    "too_many_session_revoke_arguments",
    "Exactly one argument is allowed, but session_token and member_id were given.",
  ],
  [{ member_session_id: "member-session-1" }, "invalid_session_id", "member_session_id format is invalid."],
  [{ member_id: "" }, "invalid_member_id", "member_id format is invalid."],
  [{ member_id: "m".repeat(256) }, "invalid_member_id", "member_id format is invalid."],
  [{ session_jwt: "a.b.c" }, "unable_to_parse_session_jwt", expect.any(String)],
  [{ session_id: randomUUID() }, "bad_request", expect.stringContaining("session_id")],
])("refuses the arguments %j", async (body, type, message) => {
  expect((await revoke(body)).json).toEqual(stytchError(400, type, message));
});

test("member_id does not reach another project", async () => {
  const foreign = await newLogin(otherProject);
  expect((await revoke({ member_id: foreign.memberId })).json).toEqual(stytchSuccess);
  expect(await verdictOn(otherProject, foreign)).toBe("active");
});

test("Basic credentials are needed beside a member session too", async () => {
  const { token, id } = await newLogin(service);
  const body = JSON.stringify({ member_session_id: id });
  const url = `${service.url}/v1/b2b/sessions/revoke`;
  for (const more of [[], ["-u", `${service.projectId}:wrong`]]) {
    const answer = await curl(url, ...more, "-H", `${memberSession}: ${token}`, "--json", body);
    expect(JSON.parse(answer.body)).toEqual(unauthorized);
    expect(answer.headers.get("www-authenticate")).toBe('Basic realm="sessiond"');
  }
});

describe("with a member session", () => {
  const organizationId = "org-b";

  test.each([
    [memberSession, ({ token }: Login) => token],
    [memberSessionJwt, ({ jwt }: Login) => jwt],
  ])("in %s: a member ends their own sessions", async (header, credential) => {
    const mine = await newLogin(service, { organizationId });
    const { memberId } = mine;
    const others = [];
    for (let i = 0; i < 3; i++) others.push(await newLogin(service, { memberId, organizationId }));
    const headers = { [header]: credential(mine) };
    const [byId, byToken, byJwt] = others;
    for (const target of [
      { member_session_id: byId?.id },
      { session_token: byToken?.token },
      { session_jwt: byJwt?.jwt },
    ]) {
      expect((await revoke(target, headers)).json).toEqual(stytchSuccess);
    }
    for (const login of others) expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
    expect((await revoke({ member_id: memberId }, headers)).json).toEqual(stytchSuccess);
    expect(await verdictOn(service, mine)).toBe("SESSION_REVOKED_BY_CUTOFF");
  });

  test.each(["", "  "])("an empty token %j does not hide the JWT", async (token) => {
    const mine = await newLogin(service, { organizationId });
    const other = await newLogin(service, { organizationId });
    const url = `${service.url}/v1/b2b/sessions/revoke`;
    const headers = {
      authorization: service.basic,
      "content-type": "application/json",
      [memberSession]: token,
      [memberSessionJwt]: mine.jwt,
    };
    const body = JSON.stringify({ member_session_id: other.id });
    const answer = await fetch(url, { method: "POST", headers, body });
    expect(await answer.json()).toEqual(notAllowed);
  });

  test("with that role: within the organization, not beyond", async () => {
    const admin = await newLogin(service, { organizationId, roles: ["member", "admin"] });
    const colleague = await newLogin(service, { organizationId });
    const colleague2 = await newLogin(service, { organizationId });
    const stranger = await newLogin(service, { organizationId: "org-c" });
    const loner = await newLogin(service);
    const headers = { [memberSession]: admin.token };
    expect((await revoke({ member_session_id: colleague.id }, headers)).json).toEqual(stytchSuccess);
    expect((await revoke({ member_id: colleague2.memberId }, headers)).json).toEqual(stytchSuccess);
    for (const { id, memberId } of [stranger, loner]) {
      expect((await revoke({ member_session_id: id }, headers)).json).toEqual(notAllowed);
      expect((await revoke({ member_id: memberId }, headers)).json).toEqual(notAllowed);
    }
    expect(await verdictOn(service, colleague)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, colleague2)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, stranger)).toBe("active");
    expect(await verdictOn(service, loner)).toBe("active");
  });

  test("an invalid one: 401", async () => {
    const dead = await revokedLogin(service, { organizationId });
    const target = await newLogin(service);
    const invalid = [
      { [memberSession]: dead.token },
      { [memberSessionJwt]: dead.jwt },
      { [memberSession]: "no-token" },
      { [memberSessionJwt]: "a.b.c" },
      { [memberSession]: "x".repeat(10_000) },
    ];
    for (const headers of invalid) {
      const { json } = await revoke({ member_session_id: target.id }, headers);
      expect(json).toEqual(invalidMemberSession);
    }
    expect(await verdictOn(service, target)).toBe("active");
  });
});
