import { describe, expect, test } from "vitest";
import { chromiumPath, launchChromium } from "../../support/chromium.ts";
import { newLogin, twoLogins, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { pageOrigin } from "./page-server.ts";
import type { Given } from "./page.ts";

const app = await pageOrigin();
const login = await pageOrigin();
const foreign = await pageOrigin();
const service = await runningService({
  environment: {
    SESSIOND_ALLOWED_ORIGINS: app,
    SESSIOND_KRATOS_ALLOWED_ORIGINS: login,
    SESSIOND_CALLS_PER_SECOND_PER_MEMBER: "0.001",
    SESSIOND_CALL_BURST_PER_MEMBER: "1",
  },
});

/** Every page may read the JWKS, without cookies. */
const forEveryPage = {
  "the JWKS": "200, with id",
  "the JWKS of Stytch": "200, with id",
  "the JWKS over Connect GET": "1 key",
};

const withoutCookie = {
  ...forEachTransport("", "its session"),
  ...forEachTransport("an error of ", "NotFound, SESSION_NOT_FOUND, with id"),
  ...forEachTransport("a stream of ", "a message"),
  "the rate limit of Connect": "ResourceExhausted, RATE_LIMITED, retry-after: 1000, with id",
  "REST GET": "200, with id",
  "REST POST": "200, with id",
  "an error of REST": "404, SESSION_NOT_FOUND, with id",
  "an unknown path": "404, with id",
  "a wrong method": "405, allow: POST, with id",
  "no credential": "401, CREDENTIAL_MISSING, www-authenticate: Bearer, with id",
  "the rate limit of REST": "429, RATE_LIMITED, retry-after: 1000, with id",
  "server-sent events": "an event",
};

const withCookie = {
  "Kratos with the cookie": "204, with id",
  "Kratos without a cookie": "401, www-authenticate: Bearer, with id",
};

const neverAllowed = { "REST with cookies": "blocked" };

const blocked = Object.fromEntries(
  Object.keys({ ...withoutCookie, ...withCookie, ...neverAllowed }).map((name) => [name, "blocked"]),
);

function forEachTransport(prefix: string, result: string): Record<string, string> {
  const transports = ["Connect JSON", "Connect binary", "Connect GET", "gRPC-Web"];
  return Object.fromEntries(transports.map((name) => [`${prefix}${name}`, result]));
}

describe.skipIf(chromiumPath === undefined)("in Chromium", () => {
  test.each([
    ["the general list", app, withoutCookie],
    ["the list for cookies", login, withCookie],
    ["neither list", foreign, {}],
  ])("a page of %s can do what its list allows", async (_, origin, allowed) => {
    const { mine, other } = await twoLogins(service);
    const given: Given = {
      url: service.url,
      projectId: service.projectId,
      authorization: service.basic,
      sessionId: (await newLogin(service)).id,
      restToken: (await newLogin(service)).token,
      connectToken: (await newLogin(service)).token,
      cookieSessionId: other.id,
    };
    await using browser = await launchChromium();
    const context = await browser.newContext();
    const cookie = { name: "ory_kratos_session", value: mine.token, domain: "127.0.0.1", path: "/" };
    await context.addCookies([cookie]);
    const page = await context.newPage();
    await page.goto(origin);
    const attempts = `import("/test/api/cross-origin/page.ts").then((page) => page.attempts(${JSON.stringify(given)}))`;
    expect(await page.evaluate(attempts)).toEqual({ ...blocked, ...forEveryPage, ...allowed });
    expect(await verdictOn(service, other)).toBe(origin === login ? "SESSION_REVOKED" : "active");
  });
});
