import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { newLogin, revokedLogin, twoLogins } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { checksOf, documents, operationsOf } from "./described.ts";

const service = await runningService({ environment: { SESSIOND_DOCS: "off" } });
const checks = new Map([...documents].map(([name, document]) => [name, checksOf(document)]));
const checked = new Set<string>();

interface Request {
  /** Values of the path's variables, in their order. */
  readonly path?: readonly string[];
  readonly query?: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

/** Asks the service by the routes of a document, and compares the answers with it. */
class Conversation {
  readonly problems: string[] = [];
  readonly #api: string;

  constructor(api: string) {
    this.#api = api;
  }

  /** Sends a request. Returns the answer's JSON, {} for none. Throws for another status. */
  async ask(route: string, status: number, request: Request = {}): Promise<Json> {
    const { path = [], query = "", body, headers = { authorization: service.basic } } = request;
    const [method = "", template = ""] = route.split(" ");
    const values = [...path];
    const target = template.replaceAll(/\{[^}]+\}/g, () => encodeURIComponent(values.shift() ?? ""));
    const response = await fetch(`${service.url}${target}${query}`, {
      method,
      headers: { ...headers, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== status) throw new Error(`${route}: ${response.status} ${text}`);
    const isAccepted = status < 300;
    const found = [
      isAccepted && body ? checks.get(this.#api)?.request(route, body) : undefined,
      response.headers.has("x-request-id") ? undefined : `${route} ${status}: no request id`,
      response.headers.has("www-authenticate") === (status === 401) ? undefined : `${route}: no challenge`,
      text === "" ? undefined : this.check(route, response, text),
    ];
    this.problems.push(...found.filter((problem) => problem !== undefined));
    if (isAccepted) checked.add(`${this.#api} ${route}`);
    return text === "" ? {} : (JSON.parse(text) as Json);
  }

  check(route: string, { status, headers }: Response, text: string): string | undefined {
    return checks.get(this.#api)?.answer(route, status, headers.get("content-type") ?? "", JSON.parse(text));
  }
}

test("answers of SessionService", async () => {
  const api = new Conversation("session");
  const memberId = `member-${randomUUID()}`;
  const body = {
    memberId,
    organizationId: "acme",
    device: { userAgent: "Firefox", ipAddress: "192.0.2.1" },
    authenticationFactors: [{ method: "password" }],
    roles: ["admin"],
    customClaims: { plan: ["pro", 1, null] },
    lifetime: "3600s",
    idleTimeout: "60.5s",
  };
  const { session, token, jwt } = await api.ask("POST /session/v1/sessions", 200, { body });
  const { id } = session as { id: string };
  await api.ask("POST /session/v1/sessions", 400, { body: {} });
  await api.ask("POST /session/v1/sessions", 401, { body, headers: {} });
  await api.ask("POST /session/v1/sessions", 403, { body, headers: { "x-session-token": String(token) } });
  await api.ask("POST /session/v1/sessions:authenticate", 200, { body: { token, issueJwt: true } });
  await api.ask("POST /session/v1/sessions:authenticate", 200, { body: { jwt } });
  await api.ask("GET /session/v1/sessions/{id}", 200, { path: [id] });
  await api.ask("GET /session/v1/sessions/{id}", 400, { path: ["no uuid"] });
  await api.ask("GET /session/v1/sessions/{id}", 404, { path: [randomUUID()] });
  await api.ask("GET /session/v1/sessions", 200, {
    query: `?memberId=${memberId}&state=SESSION_STATE_ACTIVE`,
  });
  await api.ask("GET /session/v1/sessions", 400, { query: "?memberID=a" });
  await api.ask("POST /session/v1/sessions/{id}:extend", 200, { path: [id], body: { lifetime: "60s" } });
  await api.ask("POST /session/v1/sessions:rotateToken", 200, { body: { token } });
  await api.ask("POST /session/v1/sessions/{id}:revoke", 200, { path: [id], body: { reason: "lost" } });
  await api.ask("POST /session/v1/sessions/{id}:revoke", 404, { path: [randomUUID()] });
  await api.ask("GET /session/v1/sessions/{id}", 200, { path: [id] });
  await api.ask("POST /session/v1/sessions:authenticate", 401, { body: { token } });
  await api.ask("POST /session/v1/sessions/{id}:extend", 400, { path: [id], body: {} });
  await api.ask("POST /session/v1/sessions:revoke", 200, { body: { memberId, countRevoked: true } });
  await api.ask("POST /session/v1/sessions:revokeAll", 200, { body: { memberId } });
  await api.ask("POST /session/v1/sessions:revokeAll", 200, { body: { memberId, validateOnly: true } });
  await api.ask("GET /session/v1/revocations", 200);
  expect(api.problems).toEqual([]);
});

test("messages of WatchRevocations, on lines", async () => {
  await revokedLogin(service);
  const route = "GET /session/v1/revocations:watch";
  const watching = new AbortController();
  const response = await fetch(`${service.url}/session/v1/revocations:watch?heartbeat=0.1s`, {
    headers: { authorization: service.basic },
    signal: watching.signal,
  });
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const { value } = (await response.body?.getReader().read()) ?? {};
  watching.abort();
  const [line = ""] = new TextDecoder().decode(value).split("\n");
  expect(new Conversation("session").check(route, response, line)).toBeUndefined();
  checked.add(`session ${route}`);
});

test("answers of ProjectService", async () => {
  const api = new Conversation("session");
  const id = `project-${randomUUID()}`;
  const of = { path: [id] };
  const policy = { defaultLifetime: "60s", roleGrants: [], jwtProfile: "JWT_PROFILE_STYTCH" };
  await api.ask("POST /session/v1/projects", 200, { body: { id, displayName: "A project", policy } });
  await api.ask("POST /session/v1/projects", 409, { body: { id } });
  await api.ask("GET /session/v1/projects/{id}", 200, of);
  await api.ask("GET /session/v1/projects/{id}", 404, { path: ["unknown"] });
  await api.ask("GET /session/v1/projects", 200, { query: "?pageSize=1" });
  await api.ask("PATCH /session/v1/projects/{project.id}", 200, { ...of, body: { displayName: "A shop" } });
  const masked = { ...of, query: "?updateMask=jwtLifetime", body: { jwtLifetime: "60s" } };
  await api.ask("PATCH /session/v1/projects/{project_id}/policy", 200, masked);
  const credential = { permissions: ["PERMISSION_SESSIONS_READ"], certificateNames: ["orders.shop.svc"] };
  const created = await api.ask("POST /session/v1/projects/{project_id}/credentials", 200, {
    ...of,
    body: credential,
  });
  await api.ask("POST /session/v1/projects/{project_id}/credentials", 409, { ...of, body: credential });
  await api.ask("GET /session/v1/projects/{project_id}/credentials", 200, of);
  const disable = "POST /session/v1/projects/{project_id}/credentials/{id}:disable";
  const { id: credentialId } = created["credential"] as { id: string };
  await api.ask(disable, 200, { path: [id, credentialId] });
  await api.ask("POST /session/v1/projects/{project_id}/signingKeys:rotate", 200, of);
  const { signingKeys } = await api.ask("GET /session/v1/projects/{project_id}/signingKeys", 200, of);
  const [key] = signingKeys as { kid: string }[];
  for (const jwks of ["jwks", ".well-known/jwks.json"]) {
    await api.ask(`GET /session/v1/projects/{project_id}/${jwks}`, 200, { ...of, headers: {} });
  }
  const revoke = "POST /session/v1/projects/{project_id}/signingKeys/{kid}:revoke";
  await api.ask(revoke, 200, { path: [id, key?.kid ?? ""], body: { cause: "REVOCATION_CAUSE_COMPROMISE" } });
  await api.ask("POST /session/v1/projects/{id}:disable", 200, of);
  expect(api.problems).toEqual([]);
});

test("answers of Flashback", async () => {
  const api = new Conversation("flashback");
  const { mine, other } = await twoLogins(service);
  const headers = { authorization: `Bearer ${mine.token}` };
  const revoke = "POST /sessions/{id}/revoke";
  await api.ask(revoke, 200, { path: [other.id], headers });
  await api.ask(revoke, 404, { path: ["unknown"], headers });
  await api.ask(revoke, 401, { path: [other.id], headers: {} });
  await api.ask("POST /sessions/revoke-all", 200, { headers });
  expect(api.problems).toEqual([]);
});

test("answers of Kratos", async () => {
  const api = new Conversation("kratos");
  const { mine, other } = await twoLogins(service);
  const headers = { "x-session-token": mine.token };
  const route = "DELETE /auth/sessions/{id}";
  await api.ask(route, 204, { path: [other.id], headers });
  await api.ask(route, 400, { path: [mine.id], headers });
  await api.ask(route, 401, { path: [mine.id], headers: {} });
  const cookie = { cookie: `ory_kratos_session=${mine.token}`, origin: "https://elsewhere.example" };
  await api.ask(route, 403, { path: [mine.id], headers: cookie });
  expect(api.problems).toEqual([]);
});

test.each([
  ["stytch", "/v1/sessions", "session_id"],
  ["stytch_b2b", "/v1/b2b/sessions", "member_session_id"],
])("answers of %s", async (name, path, id) => {
  const api = new Conversation(name);
  const login = await newLogin(service);
  await api.ask(`POST ${path}/revoke`, 200, { body: { [id]: login.id } });
  await api.ask(`POST ${path}/revoke`, 400, { body: { [id]: "no uuid" } });
  await api.ask(`POST ${path}/revoke`, 401, { body: { [id]: login.id }, headers: {} });
  await api.ask(`POST ${path}/revoke`, 404, { body: { [id]: randomUUID() } });
  const jwks = `GET ${path}/jwks/{project_id}`;
  await api.ask(jwks, 200, { path: [service.projectId], headers: {} });
  await api.ask(jwks, 404, { path: ["unknown"], headers: {} });
  expect(api.problems).toEqual([]);
});

test("a success of every operation was checked", () => {
  const all = [...documents].flatMap(([name, document]) =>
    operationsOf(document).map(({ route }) => `${name} ${route}`),
  );
  expect(all.filter((operation) => !checked.has(operation))).toEqual([]);
});
