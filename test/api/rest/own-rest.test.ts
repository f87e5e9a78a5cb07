import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();

interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

type Ask = (method: string, path: string, body?: object, authorization?: string) => Promise<Answer>;

const withCurl =
  (version: string): Ask =>
  async (method, path, body, authorization = service.basic) => {
    const {
      status,
      body: text,
      headers,
    } = await curl(
      version,
      "-X",
      method,
      `${service.url}${path}`,
      ...(authorization === "" ? [] : ["-H", `Authorization: ${authorization}`]),
      ...(body === undefined ? [] : ["--json", JSON.stringify(body)]),
    );
    return { status, json: JSON.parse(text), headers };
  };

const withFetch: Ask = async (method, path, body, authorization = service.basic) => {
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: {
      ...(authorization === "" ? {} : { authorization }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const json = (await response.json()) as Answer["json"];
  return { status: response.status, json, headers: response.headers };
};

const clients: [string, Ask][] = [
  ["fetch", withFetch],
  ["curl over HTTP/1.1", withCurl("--http1.1")],
  ["curl over h2c", withCurl("--http2-prior-knowledge")],
];

/** The part of an error answer that programs read. */
function errorIn({ status, json }: Answer) {
  const details = Array.isArray(json["details"]) ? json["details"] : [];
  const info = details.find((one: Record<string, unknown>) => String(one["@type"]).endsWith("ErrorInfo"));
  return { status, code: json["code"], reason: info?.reason, domain: info?.domain };
}

describe.each(clients)("by %s", (_name, ask) => {
  test("every route of SessionService", async () => {
    const memberId = `member/${randomUUID()}?&=+ä`;
    const created = await ask("POST", "/session/v1/sessions", { member_id: memberId, lifetime: "3600s" });
    expect(created.status).toBe(200);
    expect(created.headers.get("content-type")).toBe("application/json");
    const { session, token, jwt } = created.json as { session: { id: string }; token: string; jwt: string };
    // Fields with their default value are there.
    expect(session).toMatchObject({ memberId, organizationId: "", roles: [], current: false });
    const one = `/session/v1/sessions/${session.id}`;

    const fresh: unknown = expect.stringMatching(/^[\w-]+(\.[\w-]+){2}$/);
    for (const [request, answered] of [
      [{ token }, ""],
      [{ jwt }, jwt],
      [{ token, issue_jwt: true }, fresh],
      [{ jwt, issueJwt: true }, fresh],
    ] as const) {
      expect((await ask("POST", "/session/v1/sessions:authenticate", request)).json).toMatchObject({
        session: { id: session.id, state: "SESSION_STATE_ACTIVE" },
        jwt: answered,
      });
    }
    expect((await ask("GET", one)).json).toMatchObject({ session: { id: session.id } });
    const query = new URLSearchParams({ member_id: memberId, state: "SESSION_STATE_ACTIVE", pageSize: "10" });
    expect((await ask("GET", `/session/v1/sessions?${query.toString()}`)).json).toEqual({
      sessions: [expect.objectContaining({ id: session.id })],
      nextPageToken: "",
    });
    expect((await ask("POST", `${one}:extend`, { lifetime: "7200s" })).status).toBe(200);

    const why = { cause: "REVOCATION_CAUSE_ADMINISTRATION", reason: "test" };
    const revoked = await ask("POST", `${one}:revoke`, why);
    expect(revoked.json).toEqual({
      revision: expect.stringMatching(/^\d+$/),
      revokeTime: expect.stringMatching(/^\d{4}-.*Z$/),
      revokedCount: "1",
    });
    const again = await ask("POST", "/session/v1/sessions:revoke", { token });
    expect(again.json).toEqual({ ...revoked.json, revokedCount: "0" });
    expect(errorIn(await ask("POST", "/session/v1/sessions:authenticate", { token }))).toEqual({
      status: 401,
      code: 16,
      reason: "SESSION_REVOKED",
      domain: "sessiond",
    });

    const scope = { member_id: memberId };
    const counted = await ask("POST", "/session/v1/sessions:revokeAll", { ...scope, validate_only: true });
    expect(counted.json).toEqual({ revokedCount: "0" });
    const all = await ask("POST", "/session/v1/sessions:revokeAll", scope);
    expect(all.json).toEqual({ revision: expect.any(String), revokeTime: expect.any(String) });
  });

  test("every route of ProjectService", async () => {
    const id = `p-${randomUUID()}`;
    const path = `/session/v1/projects/${id}`;
    const created = await ask("POST", "/session/v1/projects", { id, environment: "ENVIRONMENT_LIVE" });
    expect(created.json).toMatchObject({ project: { id, environment: "ENVIRONMENT_LIVE" } });
    expect(errorIn(await ask("POST", "/session/v1/projects", { id }))).toMatchObject({
      status: 409,
      reason: "PROJECT_EXISTS",
    });
    expect((await ask("GET", path)).json).toMatchObject({ project: { id } });
    expect((await ask("GET", "/session/v1/projects?page_size=1000")).json).toMatchObject({
      projects: expect.arrayContaining([expect.objectContaining({ id })]),
    });
    const policy = {
      jwt_lifetime: "60s",
      role_grants: [{ role: "admin", permissions: ["PERMISSION_SESSIONS_READ"] }],
    };
    expect((await ask("PATCH", `${path}/policy`, policy)).json).toMatchObject({
      project: { policy: { jwtLifetime: "60s" } },
    });

    const credential = await ask("POST", `${path}/credentials`, {
      permissions: ["PERMISSION_SESSIONS_CREATE"],
    });
    const { secret, credential: made } = credential.json as { secret: string; credential: { id: string } };
    expect(secret).toMatch(/^ssk_/);
    expect((await ask("GET", `${path}/credentials`)).json).toMatchObject({ credentials: [{ id: made.id }] });
    const basic = basicAuthorization(id, secret);
    expect((await ask("POST", "/session/v1/sessions", { memberId: "m" }, basic)).status).toBe(200);
    expect((await ask("POST", `${path}/credentials/${made.id}:disable`, {})).json).toMatchObject({
      credential: { disableTime: expect.any(String) },
    });
    expect(errorIn(await ask("POST", "/session/v1/sessions", { memberId: "m" }, basic))).toMatchObject({
      status: 401,
      reason: "CREDENTIAL_INVALID",
    });

    for (const jwks of [`${path}/jwks`, `${path}/.well-known/jwks.json`]) {
      const { json } = await ask("GET", jwks, undefined, "");
      expect(json).toEqual({
        keys: [
          {
            kty: "EC",
            crv: "P-256",
            alg: "ES256",
            use: "sig",
            key_ops: ["verify"],
            kid: expect.any(String),
            x: expect.any(String),
            y: expect.any(String),
          },
        ],
      });
    }
    expect((await ask("POST", `${path}:disable`, {})).json).toMatchObject({
      project: { disableTime: expect.any(String) },
    });
    expect(errorIn(await ask("GET", `${path}/jwks`, undefined, ""))).toMatchObject({ status: 404 });
  });

  test("the path is not overridden, and nothing widens a call by mistake", async () => {
    const [one, other] = [await newLogin(service), await newLogin(service)];
    const path = `/session/v1/sessions/${one.id}:revoke`;
    const cases: [string, object | undefined, number][] = [
      ["/session/v1/sessions:revoke", {}, 400],
      ["/session/v1/sessions:revoke", { id: one.id, token: other.token }, 400],
      ["/session/v1/sessions:revokeAll?validate_only=true", { member_id: one.memberId }, 400],
      ["/session/v1/sessions:revokeAll?dry_run=1", { member_id: one.memberId }, 400],
      ["/session/v1/sessions:revokeAll", undefined, 400],
      ["/session/v1/sessions:revokeAll", { project: false }, 400],
      ["/session/v1/sessions:revokeAll", { member_id: "" }, 400],
      ["/session/v1/sessions:revokeAll", { memberid: "m", project: true }, 400],
      ["/session/v1/sessions:revokeAll", { member_id: "m", validateonly: true }, 400],
      ["/session/v1/sessions:revokeAll", { member_id: one.memberId, cause: "LOGOUT" }, 400],
      ["/session/v1/sessions/no-uuid:revoke", {}, 400],
      [`/session/v1/sessions/${randomUUID()}:revoke`, {}, 404],
    ];
    for (const [url, body, status] of cases) {
      expect((await ask("POST", url, body)).status, `${url} ${JSON.stringify(body)}`).toBe(status);
    }
    for (const { token } of [one, other]) {
      expect((await ask("POST", "/session/v1/sessions:authenticate", { token })).status).toBe(200);
    }
    for (const body of [{ id: other.id }, { member_id: other.memberId }, { token: other.token }]) {
      expect((await ask("POST", path, body)).status).toBe(200);
    }
    expect((await ask("POST", "/session/v1/sessions:authenticate", { token: one.token })).status).toBe(401);
    expect((await ask("POST", "/session/v1/sessions:authenticate", { token: other.token })).status).toBe(200);
  });

  test("errors name the fields, and say who may call", async () => {
    const invalid = await ask("POST", "/session/v1/sessions", { member_id: "", roles: [""] });
    expect(errorIn(invalid)).toMatchObject({ status: 400, code: 3, reason: "FIELD_INVALID" });
    expect(JSON.stringify(invalid.json["details"])).toContain(
      '"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"member_id"',
    );
    const anonymous = await ask("GET", "/session/v1/sessions", undefined, "");
    expect(errorIn(anonymous)).toMatchObject({ status: 401, reason: "CREDENTIAL_MISSING" });
    expect(anonymous.headers.get("www-authenticate")).toBe("Bearer");
    const { token } = await newLogin(service);
    expect(errorIn(await ask("GET", "/session/v1/projects", undefined, `Bearer ${token}`))).toMatchObject({
      status: 403,
      reason: "CALLER_NOT_ALLOWED",
    });
    expect((await ask("GET", "/session/v1/sessions", undefined, `Bearer ${token}`)).json).toMatchObject({
      sessions: [{ current: true }],
    });
  });
});

test("health over plain HTTP", async () => {
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    expect(await curl(version, `${service.url}/healthz`)).toMatchObject({
      status: 200,
      body: '{"status":"SERVING"}',
    });
  }
});
