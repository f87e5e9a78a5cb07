import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ServiceError, status } from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf, withHeaders } from "../../support/fixtures/service-clients.ts";

/** One token in ten minutes, so that no test sees a second one. */
const oncePerTenMinutes = String(1 / 600);

const unlimited = await runningService();

/** A replica that limits this kind of calls. */
const limited = (kind: string, burst: number, environment: Record<string, string> = {}) =>
  runningService({
    databaseUrl: unlimited.databaseUrl,
    environment: {
      [`SESSIOND_CALLS_PER_SECOND_PER_${kind}`]: oncePerTenMinutes,
      [`SESSIOND_CALL_BURST_PER_${kind}`]: String(burst),
      ...environment,
    },
  });

const services = await limited("SERVICE", 1);
const members = await limited("MEMBER", 1);
const addresses = await limited("ADDRESS", 3);

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

test("an address has one limit for all methods and connections; forwarding headers that no trusted proxy sent do not change it", async () => {
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

test("behind a trusted proxy each client address has its own limit", async () => {
  const proxied = await limited("ADDRESS", 1, { SESSIOND_TRUSTED_PROXIES: "127.0.0.0/8, ::1" });
  const jwks = (client: string) =>
    fetch(`${proxied.url}/session/v1/projects/${proxied.projectId}/jwks`, {
      headers: { "x-forwarded-for": `198.51.100.1, ${client}` },
    });
  const statuses = [];
  for (const i of [1, 2, 1]) statuses.push((await jwks(`192.0.2.${i}`)).status);
  expect(statuses).toEqual([200, 200, 429]);
});

test("garbage from an address does not lock out others behind it", async () => {
  const { url, projectId } = unlimited;
  const list = (token: string) =>
    fetch(`${url}/session/v1/sessions`, { headers: { authorization: `Bearer ${token}` } });
  const garbage = Array.from({ length: 600 }, (_, i) => list(`sst_${i}`));
  const guesses = Array.from({ length: 100 }, (_, i) => {
    const authorization = basicAuthorization(projectId, `guess ${i}`);
    return post(`${url}/session.v1.SessionService/Create`, { authorization }, { memberId: "m" });
  });
  const { token } = await newLogin(unlimited);
  expect((await list(token)).status).toBe(200);
  const statuses = await Promise.all([...garbage, ...guesses]).then((all) => all.map(({ status }) => status));
  expect(new Set(statuses)).toEqual(new Set([401]));
});
