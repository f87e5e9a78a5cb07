import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { randomUUID } from "node:crypto";
import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { signedByProject } from "./forged-jwt.ts";
import { type Login, newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { sessionNotFound, stytchError, stytchSuccess, unauthorized } from "./stytch-answers.ts";

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
const url = `${service.url}/v1/sessions/revoke`;
const ownCredentials = `${service.projectId}:${service.secret}`;

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  /** Posts an object as JSON, or a text unchanged. */
  async function revoke(body: object | string, credentials = ownCredentials) {
    const { status, headers, ...answer } = await curl(
      version,
      url,
      ...(credentials === "" ? [] : ["-u", credentials]),
      "-H",
      "Content-Type: application/json",
      "-d",
      typeof body === "string" ? body : JSON.stringify(body),
    );
    const json = JSON.parse(answer.body);
    expect(json.status_code).toBe(status);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("x-request-id")).toMatch(/./);
    return { headers, text: answer.body, json };
  }

  const targets: [string, (login: Login) => string][] = [
    ["session_id", ({ id }) => id],
    ["session_token", ({ token }) => token],
    ["session_jwt", ({ jwt }) => jwt],
    ["sessionToken", ({ token }) => token],
  ];
  test.each(targets)("ends a session by %s, and answers 200 again", async (name, value) => {
    const login = await newLogin(service);
    const body = { [name]: value(login) };
    const first = await revoke(body);
    expect(first.json).toEqual(stytchSuccess);
    expect(first.text).toBe(`{"status_code":200,"request_id":"${first.json.request_id}"}`);
    expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
    const again = await revoke(body);
    expect(again.json).toEqual(stytchSuccess);
    expect(again.json.request_id).not.toBe(first.json.request_id);
  });

  test("answers a malformed id as documented, byte for byte", async () => {
    const { text, json } = await revoke({ session_id: "session-test-1" });
    expect(json).toEqual(stytchError(400, "invalid_session_id", "session_id format is invalid."));
    expect(text).toBe(
      `{"status_code":400,"request_id":"${json.request_id}","error_type":"invalid_session_id",` +
        '"error_message":"session_id format is invalid.","error_url":"https://stytch.com/docs/api/errors/400"}',
    );
  });

  test.each([{}, "", { session_id: null }])("refuses a body without a target: %j", async (body) => {
    const message = "Exactly one of session_id, session_token, session_jwt is required.";
    expect((await revoke(body)).json).toEqual(stytchError(400, "no_session_revoke_arguments", message));
  });

  test("refuses more than one target", async () => {
    const login = await newLogin(service);
    const message = "Exactly one argument is allowed, but session_id and session_jwt were given.";
    const two = await revoke({ session_id: login.id, session_jwt: login.jwt });
    expect(two.json).toEqual(stytchError(400, "too_many_session_revoke_arguments", message));
    const empty = await revoke({ session_id: login.id, session_token: "", session_jwt: "" });
    expect(empty.json).toMatchObject({ error_type: "too_many_session_revoke_arguments" });
    expect(await verdictOn(service, login)).toBe("active");
  });

  test.each([
    { session_id: randomUUID() },
    { session_token: "mZAYn5aLEqKUlZ_Ad9U_fWr38GaAQ1oFAhT8ds245v7Q" },
    { session_token: "x".repeat(10_000) },
    { session_token: "" },
  ])("answers 404 for an unknown session: %j", async (body) => {
    expect((await revoke(body)).json).toEqual(sessionNotFound);
  });

  const unparseable: [string, (jwt: string) => string | Promise<string>][] = [
    ["nothing", () => ""],
    ["text", () => "no-jwt"],
    ["three parts of text", () => "a.b.c"],
    ["long text", () => "x".repeat(20_000)],
    ["the algorithm none", (jwt) => `${encode('{"alg":"none","typ":"JWT"}')}.${jwt.split(".")[1]}.`],
    [
      "a changed claim",
      (jwt) => withPart(jwt, 1, encode(JSON.stringify({ ...decodeJwt(jwt), sid: randomUUID() }))),
    ],
    ["another signature", (jwt) => withPart(jwt, 2, "A".repeat(86))],
    ["a further character", (jwt) => `${jwt}=`],
    ["the signature of another project", async () => (await newLogin(otherProject)).jwt],
  ];
  test.each(unparseable)("refuses a JWT with %s", async (_name, forge) => {
    const session_jwt = await forge((await newLogin(service)).jwt);
    const message = "session_jwt is not a JWT that this project signed.";
    const expected = stytchError(400, "unable_to_parse_session_jwt", message);
    expect((await revoke({ session_jwt })).json).toEqual(expected);
  });

  const otherAudience = async () => {
    const login = await newLogin(service);
    return { ...login, jwt: await signedByProject(service, { ...decodeJwt(login.jwt), aud: ["project-b"] }) };
  };
  test.each([
    ["of another issuer", "issuer", "was issued by somebody else", () => newLogin(otherIssuer)],
    ["for another audience", "audience", "is meant for another project", otherAudience],
  ])("refuses a JWT %s", async (_name, claim, problem, make) => {
    const login = await make();
    const expected = stytchError(400, `jwt_invalid_${claim}`, `session_jwt ${problem}.`);
    expect((await revoke({ session_jwt: login.jwt })).json).toEqual(expected);
    expect(await verdictOn(service, login)).toBe("active");
  });

  test.each([
    ["{", /^body: /],
    ['{"session_id": 7}', /session_id/],
    ['{"session_id": ["x"]}', /session_id/],
    ['{"sesion_id": "x"}', /sesion_id.*unknown/],
    ['{"session_id":"a","session_id":"b"}', /session_id/],
    ['{"session_token":"\\u0000"}', /session_token/],
    ["[]", /body/],
    ["null", /body/],
  ])("refuses the body %s", async (body, message) => {
    expect((await revoke(body)).json).toEqual(
      stytchError(400, "bad_request", expect.stringMatching(message)),
    );
  });

  test.each(["", `${service.projectId}:wrong`, `nobody:${service.secret}`, ":", "no-colon:"])(
    "refuses the credentials %j before it looks at the body",
    async (credentials) => {
      for (const body of [{ session_id: randomUUID() }, "{", {}]) {
        const { json, headers } = await revoke(body, credentials);
        expect(json).toEqual(unauthorized);
        expect(headers.get("www-authenticate")).toBe('Basic realm="sessiond"');
      }
    },
  );
});

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function withPart(jwt: string, index: number, part: string): string {
  return jwt.split(".").with(index, part).join(".");
}

test("ends a live session by its expired JWT", async () => {
  const login = await newLogin(service);
  clock.advance(600_000);
  expect(await verdictOn(service, login)).toBe("active");
  const body = JSON.stringify({ session_jwt: login.jwt });
  expect(await curl(url, "-u", ownCredentials, "--json", body)).toMatchObject({ status: 200 });
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
});

test("the request id names the environment of the project", async () => {
  const credentials = `${otherProject.projectId}:${otherProject.secret}`;
  const { body } = await curl(url, "-u", credentials, "--json", "{}");
  expect(JSON.parse(body).request_id).toMatch(/^request-id-live-/);
});

test("refuses a credential without the permission", async () => {
  const { projectId } = service;
  const permissions = [Permission.SESSIONS_READ];
  const created = await projectsOf(service).createServiceCredential({ projectId, permissions });
  expect(created.credential?.permissions).toEqual(permissions);
  const body = JSON.stringify({ session_id: (await newLogin(service)).id });
  const answer = await curl(url, "-u", `${projectId}:${created.secret}`, "--json", body);
  const message = "These credentials lack the permission sessions.revoke.";
  expect(JSON.parse(answer.body)).toEqual(stytchError(403, "insufficient_permissions", message));
});
