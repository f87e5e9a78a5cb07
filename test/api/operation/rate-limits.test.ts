import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ServiceError, status } from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf, withHeaders } from "../../support/fixtures/service-clients.ts";

/** One token in ten minutes, so that no test sees a second one. */
const oncePerTenMinutes = String(1 / 600);

const unlimited = await runningService();

/** A replica that limits this kind of calls. */
const limited = (kind: string, burst: number, calls = "CALLS", call = "CALL") =>
  runningService({
    databaseUrl: unlimited.databaseUrl,
    environment: {
      [`SESSIOND_${calls}_PER_SECOND_PER_${kind}`]: oncePerTenMinutes,
      [`SESSIOND_${call}_BURST_PER_${kind}`]: String(burst),
    },
  });

const services = await limited("SERVICE", 1);
const members = await limited("MEMBER", 1);
const addresses = await limited("ADDRESS", 3);
const failures = ["FAILED_AUTHENTICATIONS", "FAILED_AUTHENTICATION"] as const;
const guarded = await limited("ADDRESS", 5, ...failures);
const strict = await limited("ADDRESS", 1, ...failures);

const post = (url: string, headers: Readonly<Record<string, string>>, body?: object) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** Whole seconds until the next token, minus those that the test took. */
function expectTenMinutes(retryAfter: string | null | undefined): void {
  expect(retryAfter).toMatch(/^(600|5\d\d)$/);
}

function expectLimited({ status, headers }: Response): void {
  expect(status).toBe(429);
  expectTenMinutes(headers.get("retry-after"));
}

describe("a service beyond its limit", () => {
  const authorized = { authorization: services.basic };

  // Takes the only token.
  beforeAll(async () => {
    await sessionsOf(services).create({ memberId: "first" });
  });

  test("gets RetryInfo and a trailer over gRPC", async () => {
    const calls = grpcJsCalls(SessionService, services);
    const call = calls.create({ memberId: "m" }, { authorization: services.basic });
    const error = (await call.catch((reason: unknown) => reason)) as ServiceError;
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(errorInfoOf(error)).toMatchObject({ reason: "RATE_LIMITED", metadata: { limit: "service" } });
    expect(error.details).toBe("too many requests; try again later");
    expectTenMinutes(String(error.metadata.get("retry-after")[0]));
  });

  test("gets 429 and Retry-After over Connect", async () => {
    const { url } = services;
    const answer = await post(`${url}/session.v1.SessionService/Create`, authorized, { memberId: "m" });
    expectLimited(answer);
    const transport = createConnectTransport({
      baseUrl: url,
      httpVersion: "1.1",
      interceptors: [withHeaders(authorized)],
    });
    const call = createClient(SessionService, transport).create({ memberId: "m" });
    const error = ConnectError.from(await call.catch((reason: unknown) => reason));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("RATE_LIMITED");
    expectTenMinutes(String(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds));
  });

  test("gets 429 and Retry-After over REST", async () => {
    const answer = await post(`${services.url}/session/v1/sessions`, authorized, { member_id: "m" });
    expectLimited(answer);
    expect(await answer.json()).toMatchObject({
      code: 8,
      message: "too many requests; try again later",
      details: [{ reason: "RATE_LIMITED", domain: "sessiond", metadata: { limit: "service" } }, {}],
    });
  });

  test.each(["/v1/sessions/revoke", "/v1/b2b/sessions/revoke"])(
    "gets the error that Stytch documents: %s",
    async (path) => {
      const answer = await post(services.url + path, authorized, { session_token: "t" });
      expectLimited(answer);
      expect(await answer.json()).toEqual({
        status_code: 429,
        request_id: expect.stringMatching(/^request-id-test-/),
        error_type: "too_many_requests",
        error_message: "Too many requests have been made.",
        error_url: "https://stytch.com/docs/api/errors/429",
      });
    },
  );

  test("is named in the log", async () => {
    await sessionsOf(services)
      .create({ memberId: "m" })
      .catch(() => undefined);
    await expect
      .poll(() => services.log.find(({ reason }) => reason === "RATE_LIMITED"))
      .toMatchObject({
        code: "ResourceExhausted",
        project: services.projectId,
        caller: expect.stringMatching(/^service/),
      });
  });
});

describe("an end user beyond their limit", () => {
  test("gets the error of Flashback, for all sessions together", async () => {
    const mine = await newLogin(unlimited);
    const other = await newLogin(unlimited, { memberId: mine.memberId });
    const revokeAll = (token: string) =>
      post(`${members.url}/sessions/revoke-all`, { authorization: `Bearer ${token}` });
    const headers = { "x-session-token": mine.token };
    const get = await fetch(`${members.url}/session/v1/sessions`, { headers });
    expect(get.status).toBe(200);
    const answer = await revokeAll(other.token);
    expectLimited(answer);
    expect(await answer.text()).toBe('{"success":false,"error":"too many requests; try again later"}');
    expect((await revokeAll((await newLogin(unlimited)).token)).status, "another member").toBe(200);
  });

  test("gets the error of Kratos", async () => {
    const { id, token } = await newLogin(unlimited);
    const headers = { "x-session-token": token };
    const call = () => fetch(`${members.url}/auth/sessions/${id}`, { method: "DELETE", headers });
    expect((await call()).status, "the caller's own session").toBe(400);
    const answer = await call();
    expectLimited(answer);
    expect(await answer.json()).toEqual({
      error: { code: 429, status: "Too Many Requests", message: "too many requests; try again later" },
    });
  });
});

test("an address has one limit for all methods and connections; forwarding headers do not change it", async () => {
  const headers = (i: number) => ({ "x-forwarded-for": `192.0.2.${i}`, forwarded: `for=192.0.2.${i}` });
  const jwks = (i: number) =>
    fetch(`${addresses.url}/session/v1/projects/${addresses.projectId}/jwks`, { headers: headers(i) });
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await jwks(i)).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
  const transport = createConnectTransport({ baseUrl: addresses.url, httpVersion: "2" });
  const check = createClient(Health, transport)
    .check({})
    .catch((error: unknown) => ConnectError.from(error).code);
  expect(await check).toBe(Code.ResourceExhausted);
  expect((await fetch(`${addresses.url}/healthz`)).status, "probes are not calls").toBe(200);
});

test("failures at an address do not limit recently valid credentials, and ended sessions are not failures", async () => {
  const good = await newLogin(unlimited);
  const late = await newLogin(unlimited);
  const ended = await newLogin(unlimited);
  await sessionsOf(unlimited).revoke({ target: { case: "id", value: ended.id } });
  const list = (token: string) =>
    fetch(`${guarded.url}/session/v1/sessions`, { headers: { authorization: `Bearer ${token}` } });
  expect((await list(good.token)).status).toBe(200);
  for (let i = 0; i < 20; i++) expect((await list(ended.token)).status).toBe(401);
  const guess = (i: number) => {
    const authorization = basicAuthorization(guarded.projectId, `guess ${i}`);
    return post(`${guarded.url}/session.v1.SessionService/Create`, { authorization }, { memberId: "m" });
  };
  const guesses = [];
  for (let i = 0; i < 6; i++) guesses.push((await guess(i)).status);
  expect(guesses).toEqual([401, 401, 401, 401, 401, 429]);
  expect((await list(good.token)).status).toBe(200);
  const refused = await list(late.token);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ details: [{ metadata: { limit: "authentication" } }, {}] });
  expect((await list(good.token)).status).toBe(200);
});

test("unknown subjects of Authenticate do not count as failed authentications of the caller", async () => {
  for (let i = 0; i < 20; i++) expect(await verdictOn(strict, { token: `sst_${i}` })).toBe("SESSION_UNKNOWN");
});
