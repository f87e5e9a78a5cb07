import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { newLogin, revokedLogin, twoLogins, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService({
  environment: { SESSIOND_KRATOS_ALLOWED_ORIGINS: "https://app.example.com" },
});
const elsewhere = await runningService({
  environment: { SESSIOND_KRATOS_PREFIX: "/accounts/api", SESSIOND_KRATOS_COOKIE: "sid" },
});

const current = '{"error":{"code":400,"status":"Bad Request","message":"cannot revoke current session"}}';
const unauthorized =
  '{"error":{"code":401,"status":"Unauthorized","reason":"No valid session cookie found.",' +
  '"message":"The request could not be authorized"}}';

function disable(id: string, headers: readonly string[], ...more: readonly string[]) {
  const options = headers.flatMap((header) => ["-H", header]);
  return curl("-L", "-X", "DELETE", `${service.url}/auth/sessions/${id}`, ...options, ...more);
}

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  const credentials: [name: string, header: (mine: { token: string; jwt: string }) => string][] = [
    ["X-Session-Token", ({ token }) => `X-Session-Token: ${token}`],
    ["a cookie", ({ token }) => `Cookie: ory_kratos_session=${token}`],
    ["a cookie among others", ({ token }) => `Cookie: a=b; ory_kratos_session=${token}; c=d`],
    ["a quoted cookie", ({ token }) => `Cookie: ory_kratos_session="${token}"`],
    ["Bearer with a token", ({ token }) => `Authorization: Bearer ${token}`],
    ["Bearer with a JWT", ({ jwt }) => `Authorization: Bearer ${jwt}`],
  ];
  test.each(credentials)("ends another session of the same user, by %s", async (_name, header) => {
    const { mine, other } = await twoLogins(service);
    const answer = await disable(other.id, [header(mine)], version);
    expect(answer).toMatchObject({ status: 204, body: "" });
    expect(answer.headers.has("content-type")).toBe(false);
    expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test("answers alike for an unknown, a foreign and a revoked session, and ends nothing", async () => {
    const mine = await newLogin(service);
    const foreign = await newLogin(service);
    const revoked = await revokedLogin(service, { memberId: mine.memberId });
    for (const id of [foreign.id, randomUUID(), revoked.id]) {
      const answer = await disable(id, [`X-Session-Token: ${mine.token}`], version);
      expect(answer).toMatchObject({ status: 204, body: "" });
    }
    expect(await verdictOn(service, foreign)).toBe("active");
  });

  test("the current session cannot be revoked", async () => {
    const mine = await newLogin(service);
    for (const id of [mine.id, mine.id.toUpperCase()]) {
      const answer = await disable(id, [`X-Session-Token: ${mine.token}`], version);
      expect(answer).toMatchObject({ status: 400, body: current });
    }
    expect(await verdictOn(service, mine)).toBe("active");
  });

  test("an id that is not a UUID", async () => {
    const mine = await newLogin(service);
    const answer = await disable("session-1", [`X-Session-Token: ${mine.token}`], version);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toEqual({
      error: { code: 400, status: "Bad Request", message: expect.stringContaining("UUID") },
    });
  });

  test("no or dead credentials", async () => {
    const mine = await revokedLogin(service);
    const other = await newLogin(service, { memberId: mine.memberId });
    const headers = [
      [],
      [`X-Session-Token: ${mine.token}`],
      [`Cookie: ory_kratos_session=${mine.token}`],
      [`Authorization: Bearer ${mine.jwt}`],
      ["X-Session-Token: MP2YWEMeM8MxjkGKpH4dqOQ4Q4DlSPaj"],
      ["Cookie: ory_kratos_session="],
      [`Cookie: another=${other.token}`],
      [`Authorization: ${service.basic}`],
      ["Authorization: Bearer"],
      [`X-Session-Token: ${"x".repeat(10_000)}`],
    ];
    for (const header of headers) {
      const answer = await disable(other.id, header, version);
      expect(answer, header.join()).toMatchObject({ status: 401, body: unauthorized });
      expect(answer.headers.get("content-type")).toBe("application/json");
    }
    expect(await verdictOn(service, other)).toBe("active");
  });
});

describe("the order of credentials", () => {
  const garbage = "MP2YWEMeM8MxjkGKpH4dqOQ4Q4DlSPaj";
  const header = (token: string) => `X-Session-Token: ${token}`;
  const cookie = (token: string) => `Cookie: ory_kratos_session=${token}`;
  const bearer = (token: string) => `Authorization: Bearer ${token}`;

  /** Credentials made of the token of a live session and of a dead one. */
  type Credentials = (live: string, dead: string) => string[];
  const accepted: [string, Credentials][] = [
    [
      "X-Session-Token before the cookie and Bearer",
      (live, dead) => [header(live), cookie(dead), bearer(dead)],
    ],
    ["the cookie before Bearer", (live, dead) => [cookie(live), bearer(dead)]],
    ["the cookie beside a malformed Authorization", (live) => [cookie(live), "Authorization: Bearer"]],
    ["the cookie beside an empty X-Session-Token", (live) => [cookie(live), "X-Session-Token;"]],
    ["Bearer beside an empty cookie", (live) => [cookie(""), bearer(live)]],
    ["Bearer beside a blank cookie", (live) => [cookie("  "), bearer(live)]],
    ["Bearer beside a quoted blank cookie", (live) => [cookie('"  "'), bearer(live)]],
    ["Bearer beside a quoted empty cookie", (live) => [cookie('""'), bearer(live)]],
    ["Bearer beside a garbage cookie", (live) => [cookie(garbage), bearer(live)]],
    ["Bearer beside a cookie that is almost a JWT", (live) => [cookie("a.b.c"), bearer(live)]],
    ["Bearer beside an oversized cookie", (live) => [cookie("x".repeat(10_000)), bearer(live)]],
    [
      "Bearer beside a foreign page's garbage cookie",
      (live) => [cookie(garbage), bearer(live), "Origin: null"],
    ],
    ["X-Session-Token beside an empty Authorization", (live) => [header(live), "Authorization;"]],
  ];
  const refused: typeof accepted = [
    ["a garbage X-Session-Token", (live) => [header(garbage), cookie(live), bearer(live)]],
    ["the cookie of a dead session", (live, dead) => [cookie(dead), bearer(live)]],
    ["a garbage cookie alone", () => [cookie(garbage)]],
  ];
  test.each([
    ...accepted.map((row) => [...row, { status: 204 }, "SESSION_REVOKED"] as const),
    ...refused.map((row) => [...row, { status: 401, body: unauthorized }, "active"] as const),
  ])("%s", async (_name, credentials, answer, verdict) => {
    const { mine, other } = await twoLogins(service);
    const dead = await revokedLogin(service);
    expect(await disable(other.id, credentials(mine.token, dead.token))).toMatchObject(answer);
    expect(await verdictOn(service, other)).toBe(verdict);
  });
});

describe("a request with the cookie", () => {
  const forbidden = { code: 403, status: "Forbidden", message: expect.any(String) };
  const foreign = [
    ["Origin: https://evil.example"],
    ["Origin: null"],
    [`Origin: http://127.0.0.1:1`],
    ["Origin: https://app.example.com.evil.example"],
    ["Origin: https://evil.example", "Sec-Fetch-Site: same-origin"],
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
  ];
  test.each(foreign)("from a foreign page is refused: %s", async (...headers) => {
    const { mine, other } = await twoLogins(service);
    const answer = await disable(other.id, [`Cookie: ory_kratos_session=${mine.token}`, ...headers]);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toEqual({ error: forbidden });
    expect(await verdictOn(service, other)).toBe("active");
    // Browsers never send this header on their own.
    expect((await disable(other.id, [`X-Session-Token: ${mine.token}`, ...headers])).status).toBe(204);
  });

  const own = [
    ["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"],
    [`Origin: ${service.url}`],
    ["Sec-Fetch-Site: same-origin"],
    ["Sec-Fetch-Site: none"],
  ];
  test.each(own)("from an own page is served: %s", async (...headers) => {
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      const { mine, other } = await twoLogins(service);
      const cookie = `Cookie: ory_kratos_session=${mine.token}`;
      expect((await disable(other.id, [cookie, ...headers], version)).status, version).toBe(204);
      expect(await verdictOn(service, other)).toBe("SESSION_REVOKED");
    }
  });
});

test("prefix and cookie are configuration", async () => {
  const { mine, other } = await twoLogins(elsewhere);
  const cookie = ["-H", `Cookie: sid=${mine.token}`, "-X", "DELETE"];
  const documented = await curl(`${elsewhere.url}/auth/sessions/${other.id}`, ...cookie);
  expect(documented.status).toBe(404);
  const configured = await curl(`${elsewhere.url}/accounts/api/sessions/${other.id}`, ...cookie);
  expect(configured.status).toBe(204);
  expect(await verdictOn(elsewhere, other)).toBe("SESSION_REVOKED");
});
