import { describe, expect, test } from "vitest";
import type { HttpAnswer } from "../../support/fixtures/http-answer.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { overHttp1 } from "../http/exchange.ts";
import { app, environment, foreign, listOf, login, transports } from "./grant.ts";

const service = await runningService({ environment });
const closed = await runningService();
const { projectId } = service;
const id = "01900000-0000-7000-8000-000000000000";
const rpc = (name: string) => `/session.v1.${name}`;

/** A preflight, and the methods that the path then allows, by origin. Other origins get 405 or 404. */
const preflights: readonly (readonly [
  path: string,
  wanted: string,
  allowed: Readonly<Record<string, readonly string[]>>,
  refusal: number,
])[] = [
  [rpc("SessionService/Create"), "POST", { [app]: ["POST"] }, 405],
  [rpc("SessionService/Get"), "GET", { [app]: ["GET", "HEAD", "POST"] }, 405],
  [rpc("SessionService/Get"), "DELETE", { [app]: ["GET", "HEAD", "POST"] }, 405],
  [rpc("SessionService/WatchRevocations"), "POST", { [app]: ["POST"] }, 405],
  ["/session/v1/sessions", "POST", { [app]: ["GET", "HEAD", "POST"] }, 405],
  [`/session/v1/sessions/${id}`, "GET", { [app]: ["GET", "HEAD"] }, 405],
  [`/session/v1/sessions/${id}:revoke`, "POST", { [app]: ["POST"] }, 405],
  ["/session/v1/revocations:watch", "GET", { [app]: ["GET", "HEAD"] }, 405],
  ["/sessions/revoke-all", "POST", { [app]: ["POST"] }, 405],
  ["/v1/sessions/revoke", "POST", { [app]: ["POST"] }, 405],
  [`/auth/sessions/${id}`, "DELETE", { [login]: ["DELETE"] }, 405],
  [`/auth/sessions/${id}`, "POST", { [login]: ["DELETE"] }, 405],
  [`/session/v1/projects/${projectId}/jwks`, "GET", anyOf(["GET", "HEAD"]), 405],
  [`/session/v1/projects/${projectId}/jwks`, "DELETE", { [app]: ["GET", "HEAD"] }, 405],
  [`/v1/sessions/jwks/${projectId}`, "HEAD", anyOf(["GET", "HEAD"]), 405],
  [rpc("ProjectService/GetJwks"), "GET", anyOf(["GET", "HEAD"]), 405],
  [rpc("ProjectService/GetJwks"), "POST", { [app]: ["GET", "HEAD", "POST"] }, 405],
  ["/nothing", "POST", {}, 404],
  [rpc("SessionService/Nothing"), "POST", {}, 404],
  ["/auth/nothing", "DELETE", {}, 404],
];

function anyOf(methods: readonly string[]): Readonly<Record<string, readonly string[]>> {
  return { [app]: methods, [login]: methods, [foreign]: methods, null: methods };
}

const needed = [
  "authorization",
  "content-type",
  "connect-protocol-version",
  "connect-timeout-ms",
  "grpc-timeout",
  "x-grpc-web",
  "x-user-agent",
  "x-session-token",
  "x-request-id",
  "x-server-timeout",
  "traceparent",
  "tracestate",
  "last-event-id",
  "acting-user",
];

describe.each(transports)("preflights over %s", (_, send) => {
  test.each(preflights)("of %s for %s", async (target, wanted, allowed, refusal) => {
    for (const origin of [app, login, foreign, "null"]) {
      const headers = { origin, "access-control-request-method": wanted };
      const answer = await send(service.port, { verb: "OPTIONS", target, headers });
      const methods = allowed[origin];
      const isPublic = "null" in allowed;
      const granted = {
        status: 204,
        allow: false,
        origin: isPublic ? "*" : origin,
        credentials: origin === login && !isPublic ? "true" : undefined,
        methods,
        headers: needed,
        maxAge: "7200",
        privateNetwork: undefined,
        vary: isPublic ? undefined : "origin",
      };
      const refused = {
        status: refusal,
        allow: refusal === 405,
        methods: [],
        headers: [],
        maxAge: undefined,
      };
      expect(preflightIn(answer), `from ${origin}`).toMatchObject(methods === undefined ? refused : granted);
    }
  });
});

function preflightIn({ status, headers, body }: HttpAnswer) {
  const allowed = listOf(headers["access-control-allow-headers"]);
  const methods = headers["access-control-allow-methods"]?.split(", ") ?? [];
  return {
    status: body.length > 0 && status === 204 ? "204 with a body" : status,
    allow: headers["allow"] !== undefined,
    origin: headers["access-control-allow-origin"],
    credentials: headers["access-control-allow-credentials"],
    methods: methods.toSorted(),
    headers: needed.filter((name) => allowed.includes(name)),
    maxAge: headers["access-control-max-age"],
    privateNetwork: headers["access-control-allow-private-network"],
    vary: headers["vary"],
  };
}

test("a preflight without Origin is 405", async () => {
  const headers = { "access-control-request-method": "GET" };
  for (const target of ["/session/v1/sessions", `/session/v1/projects/${projectId}/jwks`]) {
    const answer = await overHttp1(service.port, { verb: "OPTIONS", target, headers });
    expect({ status: answer.status, allow: answer.headers["allow"] }).toEqual({
      status: 405,
      allow: expect.stringContaining("GET, HEAD"),
    });
  }
});

test("an answered preflight is logged as a success", async () => {
  const headers = { origin: app, "access-control-request-method": "GET", "x-request-id": "preflight-1" };
  await overHttp1(service.port, { verb: "OPTIONS", target: "/session/v1/sessions", headers });
  await expect
    .poll(() => service.log.find((line) => line["request_id"] === "preflight-1"))
    .toMatchObject({ code: "Ok", http_status: 204 });
});

test("without lists of origins a preflight is 405", async () => {
  const headers = { origin: app, "access-control-request-method": "POST" };
  const answer = await overHttp1(closed.port, { verb: "OPTIONS", target: "/session/v1/sessions", headers });
  expect(answer.status).toBe(405);
});
