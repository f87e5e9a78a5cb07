import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { type Login, newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

const service = await runningService();
const otherProject = await runningService({
  databaseUrl: service.databaseUrl,
  projectId: "project-test-other",
});
await projectsOf(service).updatePolicy({
  projectId: service.projectId,
  policy: { roleGrants: [{ role: "admin", permissions: ["sessions.revoke"] }] },
});

const requestId = /^request-id-test-[0-9a-f-]{36}$/;
const credentials = `${service.projectId}:${service.secret}`;
const memberSession = "X-Stytch-Member-Session";
const memberSessionJwt = "X-Stytch-Member-SessionJWT";

function error(status: number, type: string, message: string) {
  return {
    status_code: status,
    request_id: expect.stringMatching(requestId),
    error_type: type,
    error_message: message,
    error_url: `https://stytch.com/docs/api/errors/${status}`,
  };
}

const ok = { request_id: expect.stringMatching(requestId), status_code: 200 };
const notFound = error(404, "session_not_found", "Session could not be found.");
const invalidMemberSession = error(401, "session_not_found", "Session could not be found.");
const notAllowed = error(
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
    expect(json).toEqual(ok);
    expect(text).toBe(`{"request_id":"${json.request_id}","status_code":200}`);
    expect(await verdictOn(service, login)).toBe(reason);
    expect((await revoke({ [name]: value(login) }, {}, version)).json).toEqual(ok);
  });
});

test("member_id ends all of the member's sessions; a member without any answers 200", async () => {
  const first = await newLogin(service);
  const second = await newLogin(service, { memberId: first.memberId, organizationId: "org-a" });
  const colleague = await newLogin(service, { organizationId: "org-a" });
  expect((await revoke({ member_id: first.memberId })).json).toEqual(ok);
  expect(await verdictOn(service, first)).toBe("SESSION_REVOKED_BY_CUTOFF");
  expect(await verdictOn(service, second)).toBe("SESSION_REVOKED_BY_CUTOFF");
  expect(await verdictOn(service, colleague)).toBe("active");
  expect((await revoke({ member_id: `nobody-${randomUUID()}` })).json).toEqual(ok);
});

test("wrong arguments, as for consumers", async () => {
  expect((await revoke({})).json).toEqual(
    error(
      400,
      "no_session_revoke_arguments",
      "Exactly one of member_session_id, session_token, session_jwt, member_id is required.",
    ),
  );
  expect((await revoke({ member_id: "m", session_token: "t" })).json).toEqual(
    error(
      400,
      "too_many_session_revoke_arguments",
      "Exactly one argument is allowed, but session_token and member_id were given.",
    ),
  );
  expect((await revoke({ member_session_id: "member-session-1" })).json).toEqual(
    error(400, "invalid_session_id", "member_session_id format is invalid."),
  );
  expect((await revoke({ member_id: "" })).json).toMatchObject({ status_code: 400 });
  expect((await revoke({ member_id: "m".repeat(256) })).json).toMatchObject({ status_code: 400 });
  expect((await revoke({ session_jwt: "a.b.c" })).json).toMatchObject({
    error_type: "unable_to_parse_session_jwt",
  });
  expect((await revoke({ session_id: randomUUID() })).json).toMatchObject({
    error_type: "bad_request",
    error_message: expect.stringContaining("session_id"),
  });
  expect((await revoke({ member_session_id: randomUUID() })).json).toEqual(notFound);
});

test("another project's member session, id, token and member are out of reach", async () => {
  const foreign = await newLogin(otherProject);
  expect((await revoke({ member_session_id: foreign.id })).json).toEqual(notFound);
  expect((await revoke({ session_token: foreign.token })).json).toEqual(notFound);
  expect((await revoke({ member_id: foreign.memberId })).json).toEqual(ok);
  expect(await verdictOn(otherProject, foreign)).toBe("active");
  expect((await revoke({ member_id: "m" }, { [memberSession]: foreign.token })).json).toEqual(
    invalidMemberSession,
  );
});

test("Basic credentials are needed beside a member session too", async () => {
  const { token, id } = await newLogin(service);
  const body = JSON.stringify({ member_session_id: id });
  const url = `${service.url}/v1/b2b/sessions/revoke`;
  for (const more of [[], ["-u", `${service.projectId}:wrong`]]) {
    const answer = await curl(url, ...more, "-H", `${memberSession}: ${token}`, "--json", body);
    expect(JSON.parse(answer.body)).toEqual(
      error(401, "unauthorized_credentials", "Unauthorized credentials."),
    );
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
    const [byId, byToken, byJwt] = others;
    if (!byId || !byToken || !byJwt) throw new Error("unreachable");
    const headers = { [header]: credential(mine) };
    expect((await revoke({ member_session_id: byId.id }, headers)).json).toEqual(ok);
    expect((await revoke({ session_token: byToken.token }, headers)).json).toEqual(ok);
    expect((await revoke({ session_jwt: byJwt.jwt }, headers)).json).toEqual(ok);
    for (const login of others) expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
    expect((await revoke({ member_id: memberId }, headers)).json).toEqual(ok);
    expect(await verdictOn(service, mine)).toBe("SESSION_REVOKED_BY_CUTOFF");
  });

  test("another member's, without a role that the policy names: 403", async () => {
    const mine = await newLogin(service, { organizationId, roles: ["member"] });
    const other = await newLogin(service, { organizationId });
    const headers = { [memberSession]: mine.token };
    const targets = [
      { member_session_id: other.id },
      { session_token: other.token },
      { session_jwt: other.jwt },
      { member_id: other.memberId },
    ];
    for (const target of targets) {
      expect((await revoke(target, headers)).json, Object.keys(target).join()).toEqual(notAllowed);
    }
    expect(await verdictOn(service, other)).toBe("active");
  });

  test("with that role: within the organization, not beyond", async () => {
    const admin = await newLogin(service, { organizationId, roles: ["member", "admin"] });
    const colleague = await newLogin(service, { organizationId });
    const colleague2 = await newLogin(service, { organizationId });
    const stranger = await newLogin(service, { organizationId: "org-c" });
    const loner = await newLogin(service);
    const headers = { [memberSession]: admin.token };
    expect((await revoke({ member_session_id: colleague.id }, headers)).json).toEqual(ok);
    expect((await revoke({ member_id: colleague2.memberId }, headers)).json).toEqual(ok);
    for (const { id, memberId } of [stranger, loner]) {
      expect((await revoke({ member_session_id: id }, headers)).json).toEqual(notAllowed);
      expect((await revoke({ member_id: memberId }, headers)).json).toEqual(notAllowed);
    }
    expect(await verdictOn(service, colleague)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, colleague2)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, stranger)).toBe("active");
    expect(await verdictOn(service, loner)).toBe("active");
  });

  test("an unknown session stays unknown", async () => {
    const mine = await newLogin(service, { organizationId });
    expect((await revoke({ member_session_id: randomUUID() }, { [memberSession]: mine.token })).json).toEqual(
      notFound,
    );
  });

  test("an invalid one: 401", async () => {
    const dead = await newLogin(service, { organizationId });
    await sessionsOf(service).revoke({ target: { case: "id", value: dead.id } });
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
