import { describe, expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { type Call, requestOf } from "../http/calls.ts";
import { type Sent, overHttp1 } from "../http/exchange.ts";
import { app, environment, exposed, foreign, grantIn, login, transports } from "./grant.ts";

const service = await runningService({ environment });
const closed = await runningService();
const { id } = await newLogin(service);
const { projectId, basic: authorization } = service;
const unknownId = "01900000-0000-7000-8000-000000000000";

/** Which pages may read the answers of a route: of the general list, of the list for cookies, or all. */
type Readers = "general" | "cookie" | "public";

const get: Call = { method: "get", message: { id } };
const create: Call = { method: "create", message: { memberId: "alice" } };
const watch: Call = { method: "watch", message: {} };
const rest = (verb: string, target: string, headers: Sent["headers"] = {}): Sent => ({
  verb,
  target,
  headers,
});
const rpc = (name: string) => `/session.v1.${name}`;
const jwksQuery = `encoding=json&message=${encodeURIComponent(JSON.stringify({ projectId }))}`;

/** Requests of every protocol, and the status of their answers to a service. */
const routes: readonly (readonly [name: string, readers: Readers, sent: Sent, status: number])[] = [
  ["Connect", "general", requestOf("Connect", get), 200],
  [
    "Connect in binary",
    "general",
    requestOf("Connect", { ...create, bytes: Buffer.from("\n\u0005alice") }),
    200,
  ],
  ["Connect GET", "general", requestOf("Connect GET", get), 200],
  ["HEAD of Connect GET", "general", { ...requestOf("Connect GET", get), verb: "HEAD" }, 200],
  ["a stream of Connect", "general", requestOf("Connect", watch), 200],
  ["gRPC-Web", "general", requestOf("gRPC-Web", get), 200],
  ["a stream of gRPC-Web", "general", requestOf("gRPC-Web", watch), 200],
  ["REST GET", "general", requestOf("REST", get), 200],
  ["REST HEAD", "general", { ...requestOf("REST", get), verb: "HEAD" }, 200],
  ["REST POST", "general", requestOf("REST", create), 200],
  ["NDJSON", "general", requestOf("REST", watch), 200],
  [
    "server-sent events",
    "general",
    { ...requestOf("REST", watch), headers: { accept: "text/event-stream" } },
    200,
  ],
  ["Flashback", "general", rest("POST", "/sessions/revoke-all"), 401],
  ["Stytch", "general", rest("POST", "/v1/sessions/revoke"), 400],
  ["Stytch B2B", "general", rest("POST", "/v1/b2b/sessions/revoke"), 400],
  [
    "health over Connect",
    "general",
    rest("POST", "/grpc.health.v1.Health/Check", { "content-type": "application/json" }),
    400,
  ],
  [
    "GetJwks over Connect POST",
    "general",
    rest("POST", rpc("ProjectService/GetJwks"), { "content-type": "application/json" }),
    400,
  ],
  ["an unknown path", "general", rest("GET", "/nothing"), 404],
  [
    "an unknown method of gRPC-Web",
    "general",
    rest("POST", rpc("SessionService/Nothing"), { "content-type": "application/grpc-web" }),
    200,
  ],
  ["a wrong method of an RPC path", "general", rest("DELETE", rpc("SessionService/Get")), 405],
  ["a wrong method of a REST path", "general", rest("PATCH", "/session/v1/sessions"), 405],
  ["a wrong method of a JWKS", "general", rest("DELETE", `/session/v1/projects/${projectId}/jwks`), 405],
  ["OPTIONS that is no preflight", "general", rest("OPTIONS", "/session/v1/sessions"), 405],
  [
    "a wrong content type",
    "general",
    { ...requestOf("REST", create), headers: { "content-type": "text/plain" } },
    415,
  ],
  [
    "gRPC-Web text",
    "general",
    { ...requestOf("gRPC-Web", get), headers: { "content-type": "application/grpc-web-text" } },
    415,
  ],
  ["Kratos", "cookie", rest("DELETE", `/auth/sessions/${unknownId}`), 401],
  ["Kratos with a malformed id", "cookie", rest("DELETE", "/auth/sessions/7"), 401],
  ["an unknown path of Kratos", "cookie", rest("GET", "/auth/nothing"), 404],
  ["a wrong method of Kratos", "cookie", rest("POST", `/auth/sessions/${unknownId}`), 405],
  ["the JWKS", "public", rest("GET", `/session/v1/projects/${projectId}/jwks`), 200],
  ["HEAD of the JWKS", "public", rest("HEAD", `/session/v1/projects/${projectId}/jwks`), 200],
  [
    "the JWKS at its well-known path",
    "public",
    rest("GET", `/session/v1/projects/${projectId}/.well-known/jwks.json`),
    200,
  ],
  ["the JWKS over Connect GET", "public", rest("GET", `${rpc("ProjectService/GetJwks")}?${jwksQuery}`), 200],
  ["the JWKS of Stytch", "public", rest("GET", `/v1/sessions/jwks/${projectId}`), 200],
  ["HEAD of the JWKS of Stytch", "public", rest("HEAD", `/v1/sessions/jwks/${projectId}`), 200],
  ["the JWKS of Stytch B2B", "public", rest("GET", `/v1/b2b/sessions/jwks/${projectId}`), 200],
  ["the JWKS of an unknown project", "public", rest("GET", "/session/v1/projects/nobody/jwks"), 404],
];

/** Values of `Origin`, and the list that has them. */
const origins: readonly (readonly [origin: string | undefined, list: Readers | "none"])[] = [
  [app, "general"],
  ["http://localhost:3000", "general"],
  [login, "cookie"],
  [foreign, "none"],
  ["null", "none"],
  ["*", "none"],
  ["https://APP.example.com", "none"],
  ["http://app.example.com", "none"],
  [`${app}:8443`, "none"],
  [`${app}.evil.example`, "none"],
  [`${app}/`, "none"],
  [`${app}, ${foreign}`, "none"],
  ["", "none"],
  [undefined, "none"],
];

describe.each(transports)("over %s", (_, send) => {
  test.each(routes)("%s", async (_, readers, sent, status) => {
    for (const [origin, list] of origins) {
      const headers = { authorization, ...sent.headers, ...(origin !== undefined && { origin }) };
      const answer = await send(service.port, { ...sent, headers });
      const allowed = readers === "public" ? "*" : list === readers ? origin : undefined;
      expect({ status: answer.status, ...grantIn(answer) }, `from ${origin}`).toEqual({
        status,
        origin: allowed,
        credentials: allowed !== undefined && readers === "cookie" ? "true" : undefined,
        exposed: allowed === undefined ? [] : exposed,
        variesByOrigin: readers !== "public",
      });
    }
  });
});

describe("where the Kratos API shares a path with REST", async () => {
  const shared = await runningService({
    environment: { ...environment, SESSIOND_KRATOS_PREFIX: "/session/v1" },
  });
  const target = `/session/v1/sessions/${unknownId}`;

  test.each([
    ["GET", app],
    ["DELETE", login],
  ])("%s is for pages of %s alone", async (verb, reader) => {
    for (const origin of [app, login]) {
      const answer = await overHttp1(shared.port, rest(verb, target, { origin }));
      expect(grantIn(answer).origin).toBe(origin === reader ? reader : undefined);
      const preflight = rest("OPTIONS", target, { origin, "access-control-request-method": verb });
      const { status, headers } = await overHttp1(shared.port, preflight);
      expect(status).toBe(origin === reader ? 204 : 405);
      const allowed = verb === "GET" ? "GET, HEAD" : "DELETE";
      expect(headers["access-control-allow-methods"]).toBe(origin === reader ? allowed : undefined);
    }
  });
});

test.each(["/healthz", "/livez"])("no page may read %s", async (target) => {
  for (const verb of ["GET", "OPTIONS"]) {
    const headers = { origin: app, "access-control-request-method": "GET" };
    const answer = await overHttp1(service.port, rest(verb, target, headers));
    expect(grantIn(answer)).toMatchObject({ origin: undefined, variesByOrigin: false });
  }
});

describe("without lists of origins", () => {
  test.each(routes.filter(([, readers]) => readers !== "public"))(
    "no page may read %s",
    async (_, _readers, sent) => {
      const headers = { authorization: closed.basic, ...sent.headers, origin: app };
      const answer = await overHttp1(closed.port, { ...sent, headers });
      expect(grantIn(answer)).toEqual({
        origin: undefined,
        credentials: undefined,
        exposed: [],
        variesByOrigin: false,
      });
    },
  );

  test("every page may read the JWKS", async () => {
    const sent = rest("GET", `/session/v1/projects/${projectId}/jwks`, { origin: foreign });
    expect(grantIn(await overHttp1(closed.port, sent))).toMatchObject({ origin: "*", variesByOrigin: false });
  });
});
