import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { type Login, newLogin, revokedLogin, twoLogins, verdictOn } from "../../support/fixtures/logins.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";

const clock = movableClock();
const service = await runningService({ now: clock.now });

const revoked = { status: 200, body: '{"success":true,"message":"Session revoked successfully"}' };
const allRevoked = { status: 200, body: '{"success":true,"message":"All sessions revoked successfully"}' };
const notFound = { status: 404, body: '{"success":false,"error":"Session not found"}' };
const unauthorized = { status: 401, body: '{"success":false,"error":"Unauthorized"}' };

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  function post(path: string, bearer?: string, ...more: string[]) {
    const authorization = bearer === undefined ? [] : ["-H", `Authorization: Bearer ${bearer}`];
    return curl(version, "-X", "POST", `${service.url}${path}`, ...authorization, ...more);
  }

  test.each([
    ["token", ({ token }: Login) => token],
    ["JWT", ({ jwt }: Login) => jwt],
  ])(
    "by %s ends one session of the caller and no other, and answers 200 again",
    async (_name, credential) => {
      const { mine, other } = await twoLogins(service);
      const answer = await post(`/sessions/${other.id}/revoke`, credential(mine));
      expect(answer).toMatchObject(revoked);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(await post(`/sessions/${other.id}/revoke`, credential(mine))).toMatchObject(revoked);
      expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
      expect(await verdictOn(service, mine)).toBe("active");
    },
  );

  test("ends the session of the credential too", async () => {
    const mine = await newLogin(service);
    expect(await post(`/sessions/${mine.id}/revoke`, mine.token)).toMatchObject(revoked);
    expect(await post(`/sessions/${mine.id}/revoke`, mine.token)).toMatchObject(unauthorized);
  });

  test.each([randomUUID(), "session-id", "..", "%2e", "a%2Fb"])("answers 404 for the id %s", async (id) => {
    const { token } = await newLogin(service);
    expect(await post(`/sessions/${id}/revoke`, token, "--path-as-is")).toMatchObject(notFound);
  });

  test("ends all sessions, the current one included", async () => {
    const { mine, other } = await twoLogins(service);
    const foreign = await newLogin(service);
    expect(await post("/sessions/revoke-all", mine.token)).toMatchObject(allRevoked);
    expect(await verdictOn(service, mine)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await verdictOn(service, foreign)).toBe("active");
    expect(await post("/sessions/revoke-all", mine.token)).toMatchObject(unauthorized);
  });

  const bodies = [
    [],
    ["-H", "content-length: 0"],
    ["-d", "", "-H", "content-type: application/json"],
    ["-d", "{}", "-H", "content-type: application/json"],
    ["-d", "{}", "-H", "content-type:"],
    ["-d", "[]", "-H", "content-type: application/json; charset=UTF-8"],
  ].map((options) => ({ options }));
  test.each(bodies)("accepts the body $options", async ({ options }) => {
    const { mine, other } = await twoLogins(service);
    expect(await post(`/sessions/${other.id}/revoke`, mine.token, ...options)).toMatchObject(revoked);
  });

  const credentials: [string, (mine: Login, dead: Login) => string[]][] = [
    ["an unknown token", () => ["-H", "Authorization: Bearer access-token"]],
    ["the token of a revoked session", (_mine, { token }) => ["-H", `Authorization: Bearer ${token}`]],
    ["a malformed JWT", () => ["-H", "Authorization: Bearer a.b.c"]],
    ["a long token", () => ["-H", `Authorization: Bearer ${"x".repeat(10_000)}`]],
    ["X-Session-Token", ({ token }) => ["-H", `X-Session-Token: ${token}`]],
    ["a cookie", ({ token }) => ["-H", `Cookie: ory_kratos_session=${token}`]],
  ];
  test.each(credentials)("refuses %s with the challenge Bearer", async (_name, options) => {
    const mine = await newLogin(service);
    const dead = await revokedLogin(service);
    for (const path of [`/sessions/${mine.id}/revoke`, "/sessions/revoke-all"]) {
      const answer = await post(path, undefined, ...options(mine, dead));
      expect(answer, path).toMatchObject(unauthorized);
      expect(answer.headers.get("www-authenticate"), path).toBe("Bearer");
    }
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test.each([
    ["/sessions/%zz/revoke", ""],
    ["/sessions/%00/revoke", ""],
    ["/sessions/revoke-all?all=true", "all"],
  ])("answers 400 to %s", async (path, part) => {
    const mine = await newLogin(service);
    const { status, body } = await post(path, mine.token);
    expect(status).toBe(400);
    expect(JSON.parse(body)).toEqual({ success: false, error: expect.stringContaining(part) });
    expect(await verdictOn(service, mine)).toBe("active");
  });
});

test("answers 200 for an expired session", async () => {
  const mine = await newLogin(service);
  const short = await newLogin(service, { memberId: mine.memberId, lifetime: { seconds: 60n } });
  clock.advance(61_000);
  expect(await verdictOn(service, short)).toBe("SESSION_EXPIRED");
  const bearer = ["-H", `Authorization: Bearer ${mine.token}`];
  const answer = await curl("-X", "POST", `${service.url}/sessions/${short.id}/revoke`, ...bearer);
  expect(answer).toMatchObject(revoked);
});
