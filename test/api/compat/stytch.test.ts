import { randomUUID } from "node:crypto";
import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { signedByProject } from "./forged-jwt.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";

const clock = movableClock();
const service = await runningService({ now: clock.now });
const otherIssuer = await runningService({
  databaseUrl: service.databaseUrl,
  environment: { SESSIOND_ISSUER: "somebody-else" },
});
const otherProject = await runningService({
  databaseUrl: service.databaseUrl,
  projectId: "project-live-other",
});

const requestId = /^request-id-test-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function error(status: number, type: string, message: string) {
  return {
    status_code: status,
    request_id: expect.stringMatching(requestId),
    error_type: type,
    error_message: message,
    error_url: `https://stytch.com/docs/api/errors/${status}`,
  };
}

const notFound = error(404, "session_not_found", "Session could not be found.");
const unauthorized = error(401, "unauthorized_credentials", "Unauthorized credentials.");
const unparseable = error(
  400,
  "unable_to_parse_session_jwt",
  "session_jwt is not a JWT that this project signed.",
);

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  /** Posts JSON, or a text as it is, and answers with the JSON that came back. */
  async function revoke(body: object | string, credentials = `${service.projectId}:${service.secret}`) {
    const {
      status,
      headers,
      body: text,
    } = await curl(
      version,
      `${service.url}/v1/sessions/revoke`,
      ...(credentials === "" ? [] : ["-u", credentials]),
      "-H",
      "Content-Type: application/json",
      "-d",
      typeof body === "string" ? body : JSON.stringify(body),
    );
    const json = JSON.parse(text);
    expect(json.status_code).toBe(status);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("x-request-id")).toMatch(/./);
    return { status, headers, text, json };
  }

  test.each(["session_id", "session_token", "session_jwt", "sessionToken"])(
    "ends a session by %s",
    async (name) => {
      const login = await newLogin(service);
      const values: Record<string, string> = {
        session_id: login.id,
        session_token: login.token,
        session_jwt: login.jwt,
        sessionToken: login.token,
      };
      const body = { [name]: values[name] };
      const first = await revoke(body);
      expect(first.json).toEqual({ status_code: 200, request_id: expect.stringMatching(requestId) });
      expect(first.text).toBe(`{"status_code":200,"request_id":"${first.json.request_id}"}`);
      expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");

      const again = await revoke(body);
      expect(again.status).toBe(200);
      expect(again.json.request_id).not.toBe(first.json.request_id);
    },
  );

  test("an id that is none, as documented to the byte", async () => {
    const { text, json } = await revoke({ session_id: "session-test-1" });
    expect(json).toEqual(error(400, "invalid_session_id", "session_id format is invalid."));
    expect(text).toBe(
      `{"status_code":400,"request_id":"${json.request_id}","error_type":"invalid_session_id",` +
        '"error_message":"session_id format is invalid.","error_url":"https://stytch.com/docs/api/errors/400"}',
    );
  });

  test("none of the three, or more than one", async () => {
    const none = error(
      400,
      "no_session_revoke_arguments",
      "Exactly one of session_id, session_token, session_jwt is required.",
    );
    for (const body of [{}, "", { session_id: null }]) expect((await revoke(body)).json).toEqual(none);

    const login = await newLogin(service);
    const two = await revoke({ session_id: login.id, session_jwt: login.jwt });
    expect(two.json).toEqual(
      error(
        400,
        "too_many_session_revoke_arguments",
        "Exactly one argument is allowed, but session_id and session_jwt were given.",
      ),
    );
    expect((await revoke({ session_id: login.id, session_token: "", session_jwt: "" })).json).toMatchObject({
      error_type: "too_many_session_revoke_arguments",
    });
    expect(await verdictOn(service, login)).toBe("active");
  });

  test("what is well-formed but unknown in this project", async () => {
    const foreign = await newLogin(otherProject);
    const unknown = [
      { session_id: randomUUID() },
      { session_id: foreign.id },
      { session_token: foreign.token },
      { session_token: "mZAYn5aLEqKUlZ_Ad9U_fWr38GaAQ1oFAhT8ds245v7Q" },
      { session_token: "x".repeat(10_000) },
      { session_token: "" },
    ];
    for (const body of unknown) expect((await revoke(body)).json, JSON.stringify(body)).toEqual(notFound);
    expect(await verdictOn(otherProject, foreign)).toBe("active");
  });

  test("a JWT that does not parse, or that somebody else signed", async () => {
    const { jwt } = await newLogin(service);
    const [head = "", payload = "", signature = ""] = jwt.split(".");
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
    const changed = Buffer.from(JSON.stringify({ ...decodeJwt(jwt), sid: randomUUID() })).toString(
      "base64url",
    );
    const jwts = [
      "",
      "no-jwt",
      "a.b.c",
      "x".repeat(20_000),
      `${none}.${payload}.`,
      `${head}.${changed}.${signature}`,
      `${head}.${payload}.${"A".repeat(86)}`,
      `${jwt}=`,
      (await newLogin(otherProject)).jwt,
    ];
    for (const session_jwt of jwts) expect((await revoke({ session_jwt })).json).toEqual(unparseable);
  });

  test("a JWT of another issuer or for another audience", async () => {
    const { jwt: session_jwt, ...login } = await newLogin(otherIssuer);
    expect((await revoke({ session_jwt })).json).toEqual(
      error(400, "jwt_invalid_issuer", "session_jwt was issued by somebody else."),
    );
    const aud = await signedByProject(service, {
      ...decodeJwt((await newLogin(service)).jwt),
      aud: ["project-b"],
    });
    expect((await revoke({ session_jwt: aud })).json).toEqual(
      error(400, "jwt_invalid_audience", "session_jwt is meant for another project."),
    );
    expect(await verdictOn(service, login)).toBe("active");
  });

  test("a body that is not JSON, has a wrong type or an unknown member", async () => {
    const bodies: [string, RegExp][] = [
      ["{", /^body: /],
      ['{"session_id": 7}', /session_id/],
      ['{"session_id": ["x"]}', /session_id/],
      ['{"sesion_id": "x"}', /sesion_id.*unknown/],
      ['{"session_id":"a","session_id":"b"}', /session_id/],
      ['{"session_token":"\\u0000"}', /session_token/],
      ["[]", /body/],
      ["null", /body/],
    ];
    for (const [body, message] of bodies) {
      const { status, json } = await revoke(body);
      expect(json, body).toEqual({
        ...error(400, "bad_request", ""),
        error_message: expect.stringMatching(message),
      });
      expect(status).toBe(400);
    }
  });

  test("wrong or missing credentials, before anything else is looked at", async () => {
    for (const credentials of [
      "",
      `${service.projectId}:wrong`,
      `nobody:${service.secret}`,
      ":",
      "no-colon:",
    ]) {
      for (const body of [{ session_id: randomUUID() }, "{", {}]) {
        const { json, headers } = await revoke(body, credentials);
        expect(json, credentials).toEqual(unauthorized);
        expect(headers.get("www-authenticate")).toBe('Basic realm="sessiond"');
      }
    }
  });
});

test("an end user's credential is none here", async () => {
  const { token, jwt } = await newLogin(service);
  for (const header of [
    `Authorization: Bearer ${token}`,
    `Authorization: Bearer ${jwt}`,
    `X-Session-Token: ${token}`,
  ]) {
    const { status, body } = await curl(`${service.url}/v1/sessions/revoke`, "-H", header, "--json", "{}");
    expect(status).toBe(401);
    expect(JSON.parse(body)).toEqual(unauthorized);
  }
});

test("an expired JWT of a live session still ends it", async () => {
  const login = await newLogin(service);
  clock.advance(600_000);
  expect(await verdictOn(service, login)).toBe("active");
  const credentials = `${service.projectId}:${service.secret}`;
  const body = JSON.stringify({ session_jwt: login.jwt });
  const { status } = await curl(`${service.url}/v1/sessions/revoke`, "-u", credentials, "--json", body);
  expect(status).toBe(200);
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
});

test("the request id names the environment of the project", async () => {
  const credentials = `${otherProject.projectId}:${otherProject.secret}`;
  const { body } = await curl(`${service.url}/v1/sessions/revoke`, "-u", credentials, "--json", "{}");
  expect(JSON.parse(body).request_id).toMatch(/^request-id-live-/);
});

test("a credential without the permission", async () => {
  const { credential, secret } = await projectsOf(service).createServiceCredential({
    projectId: service.projectId,
    permissions: ["sessions.read"],
  });
  expect(credential?.permissions).toEqual(["sessions.read"]);
  const { id } = await newLogin(service);
  const body = JSON.stringify({ session_id: id });
  const answer = await curl(
    `${service.url}/v1/sessions/revoke`,
    "-u",
    `${service.projectId}:${secret}`,
    "--json",
    body,
  );
  expect(JSON.parse(answer.body)).toEqual(
    error(403, "insufficient_permissions", "These credentials lack the permission sessions.revoke."),
  );
});
