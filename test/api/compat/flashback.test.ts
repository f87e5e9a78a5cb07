import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const clock = movableClock();
const service = await runningService({ now: clock.now });

const revoked = '{"success":true,"message":"Session revoked successfully"}';
const allRevoked = '{"success":true,"message":"All sessions revoked successfully"}';
const notFound = '{"success":false,"error":"Session not found"}';
const unauthorized = '{"success":false,"error":"Unauthorized"}';

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  function post(path: string, bearer?: string, ...more: string[]) {
    const authorization = bearer === undefined ? [] : ["-H", `Authorization: Bearer ${bearer}`];
    return curl(version, "-X", "POST", `${service.url}${path}`, ...authorization, ...more);
  }

  test("ends one session of the caller, by token or JWT, and no other", async () => {
    const mine = await newLogin(service);
    const { memberId } = mine;
    const [first, second] = [await newLogin(service, { memberId }), await newLogin(service, { memberId })];

    const answer = await post(`/sessions/${first.id}/revoke`, mine.token);
    expect(answer).toMatchObject({ status: 200, body: revoked });
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await post(`/sessions/${second.id}/revoke`, mine.jwt)).toMatchObject({
      status: 200,
      body: revoked,
    });

    expect(await verdictOn(service, first)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, second)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test("ends the presented session too", async () => {
    const mine = await newLogin(service);
    expect(await post(`/sessions/${mine.id}/revoke`, mine.token)).toMatchObject({
      status: 200,
      body: revoked,
    });
    expect(await post(`/sessions/${mine.id}/revoke`, mine.token)).toMatchObject({
      status: 401,
      body: unauthorized,
    });
  });

  test("answers 200 again for a session that is revoked", async () => {
    const mine = await newLogin(service);
    const other = await newLogin(service, { memberId: mine.memberId });
    const answers = [
      await post(`/sessions/${other.id}/revoke`, mine.token),
      await post(`/sessions/${other.id}/revoke`, mine.token),
    ];
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: revoked });
  });

  test("another user's session, an unknown one and an id that is none are alike", async () => {
    const mine = await newLogin(service);
    const foreign = await newLogin(service);
    for (const id of [foreign.id, randomUUID(), "session-id", "..", "%2e", "a%2Fb"]) {
      expect(await post(`/sessions/${id}/revoke`, mine.token, "--path-as-is"), id).toMatchObject({
        status: 404,
        body: notFound,
      });
    }
    expect(await verdictOn(service, foreign)).toBe("active");
  });

  test("an organization's administrator ends here only what is their own", async () => {
    const { memberId } = await newLogin(service, { organizationId: "org", roles: ["admin"] });
    const admin = await newLogin(service, { memberId, organizationId: "org", roles: ["admin"] });
    const colleague = await newLogin(service, { organizationId: "org" });
    expect(await post(`/sessions/${colleague.id}/revoke`, admin.token)).toMatchObject({
      status: 404,
      body: notFound,
    });
  });

  test("ends all sessions, the current one included", async () => {
    const mine = await newLogin(service);
    const other = await newLogin(service, { memberId: mine.memberId });
    const foreign = await newLogin(service);
    expect(await post("/sessions/revoke-all", mine.token)).toMatchObject({ status: 200, body: allRevoked });
    expect(await verdictOn(service, mine)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, foreign)).toBe("active");
    expect(await post("/sessions/revoke-all", mine.token)).toMatchObject({ status: 401, body: unauthorized });
  });

  test("needs no body and no content type, and takes an empty or any JSON one", async () => {
    const bodies = [
      [],
      ["-H", "content-length: 0"],
      ["-d", "", "-H", "content-type: application/json"],
      ["-d", "{}", "-H", "content-type: application/json"],
      ["-d", "{}", "-H", "content-type:"],
      ["-d", "[]", "-H", "content-type: application/json; charset=UTF-8"],
    ];
    const mine = await newLogin(service);
    for (const body of bodies) {
      const other = await newLogin(service, { memberId: mine.memberId });
      const answer = await post(`/sessions/${other.id}/revoke`, mine.token, ...body);
      expect(answer, body.join(" ")).toMatchObject({ status: 200, body: revoked });
    }
  });

  test("without a good credential: 401 and what would be one", async () => {
    const mine = await newLogin(service);
    const dead = await newLogin(service);
    await sessionsOf(service).revoke({ target: { case: "id", value: dead.id } });
    const cases = [
      await post(`/sessions/${mine.id}/revoke`),
      await post("/sessions/revoke-all"),
      await post("/sessions/revoke-all", "access-token"),
      await post("/sessions/revoke-all", dead.token),
      await post("/sessions/revoke-all", dead.jwt),
      await post("/sessions/revoke-all", "a.b.c"),
      await post("/sessions/revoke-all", "x".repeat(10_000)),
      await post("/sessions/revoke-all", undefined, "-u", `${service.projectId}:${service.secret}`),
      await post("/sessions/revoke-all", undefined, "-H", `X-Session-Token: ${mine.token}`),
      await post("/sessions/revoke-all", undefined, "-H", `Cookie: ory_kratos_session=${mine.token}`),
    ];
    for (const answer of cases) {
      expect(answer).toMatchObject({ status: 401, body: unauthorized });
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test("400 in the same shape", async () => {
    const mine = await newLogin(service);
    const bad = await post(`/sessions/%zz/revoke`, mine.token);
    expect(bad.status).toBe(400);
    expect(JSON.parse(bad.body)).toEqual({ success: false, error: expect.any(String) });
    const nul = await post("/sessions/%00/revoke", mine.token);
    expect(nul.status).toBe(400);
    const query = await post(`/sessions/revoke-all?all=true`, mine.token);
    expect(query.status).toBe(400);
    expect(JSON.parse(query.body)).toEqual({ success: false, error: expect.stringContaining("all") });
    expect(await verdictOn(service, mine)).toBe("active");
  });
});

test("an expired session, too, answers 200", async () => {
  const mine = await newLogin(service);
  const short = await newLogin(service, { memberId: mine.memberId, lifetime: { seconds: 60n } });
  clock.advance(61_000);
  expect(await verdictOn(service, short)).toBe("SESSION_EXPIRED");
  const bearer = ["-H", `Authorization: Bearer ${mine.token}`];
  const answer = await curl("-X", "POST", `${service.url}/sessions/${short.id}/revoke`, ...bearer);
  expect(answer).toMatchObject({ status: 200, body: revoked });
});
