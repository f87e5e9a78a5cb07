import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { curl } from "../../support/process/command.ts";
import { newLogin, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { relayedService } from "../../support/fixtures/relayed-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { runSql } from "../../support/postgres/sql.ts";

const { service, relay, directUrl } = await relayedService({
  SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: "1000",
  SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: "2000",
});

const health = createClient(Health, createGrpcTransport({ baseUrl: service.url }));
const patience = { timeout: 15_000, interval: 20 };
const credentials = `${service.projectId}:${service.secret}`;

const healthz = async () => {
  const { status, body } = await curl(`${service.url}/healthz`);
  return { status, body };
};
const serving = { status: 200, body: '{"status":"SERVING"}' };
const notServing = { status: 503, body: '{"status":"NOT_SERVING"}' };

/** Runs while the database is unreachable, and checks the recovery afterwards. */
async function withoutDatabase(work: () => Promise<void>): Promise<void> {
  relay.cut();
  try {
    await work();
  } finally {
    relay.mend();
    await expect.poll(healthz, patience).toEqual(serving);
  }
}

test("health fails and calls are UNAVAILABLE; both recover without a restart", async () => {
  const login = await newLogin(service);
  const watching = new AbortController();
  const watched = health.watch({ service: "session.v1.SessionService" }, { signal: watching.signal });
  const seen = watched[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await seen.next();
    return value?.status;
  };
  expect(await next()).toBe(Status.SERVING);

  await withoutDatabase(async () => {
    await expect.poll(healthz, patience).toEqual(notServing);
    expect(await curl(`${service.url}/livez`)).toMatchObject(serving);
    expect(await next()).toBe(Status.NOT_SERVING);
    expect((await health.check({})).status).toBe(Status.NOT_SERVING);
    const calls = [
      sessionsOf(service).authenticate({ credential: { case: "token", value: login.token } }),
      sessionsOf(service).create({ memberId: "m" }),
      sessionsOf(service).revoke({ target: { case: "id", value: login.id } }),
      sessionsOf(service, `Bearer ${login.token}`).list({}),
    ];
    for (const call of calls) {
      const error = ConnectError.from(await call.catch((reason: unknown) => reason));
      expect(error.code).toBe(Code.Unavailable);
      expect(reasonOf(error)).toBe("DATABASE_UNAVAILABLE");
      expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds).toBe(1n);
      expect(error.rawMessage).toBe("the database does not answer; try again");
    }
  });

  expect(await next()).toBe(Status.SERVING);
  expect((await health.check({})).status).toBe(Status.SERVING);
  expect(await verdictOn(service, login)).toBe("active");
  watching.abort();
});

test("a database that accepts connections but does not answer counts as down", async () => {
  const login = await newLogin(service);
  relay.fallSilent();
  try {
    await expect.poll(healthz, patience).toEqual(notServing);
    expect(await verdictOn(service, login)).toBe("DATABASE_UNAVAILABLE");
  } finally {
    relay.cut();
    relay.mend();
  }
  await expect.poll(() => verdictOn(service, login), patience).toBe("active");
});

test("replaces connections that the database ended, without an error for callers", async () => {
  const login = await newLogin(service);
  await runSql(
    directUrl,
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await expect
    .poll(() => service.log.some(({ msg }) => msg === "database connection lost"), patience)
    .toBe(true);
  await expect.poll(() => verdictOn(service, login), patience).toBe("active");
});

test("compat APIs answer with their documented server error", async () => {
  const { token, id } = await newLogin(service);
  const bearer = ["-X", "POST", "-H", `Authorization: Bearer ${token}`];
  const stytchBody = ["-u", credentials, "--json", JSON.stringify({ session_id: id })];
  await withoutDatabase(async () => {
    for (const [path, error] of [
      [`/sessions/${id}/revoke`, "Failed to revoke session"],
      ["/sessions/revoke-all", "Failed to revoke all sessions"],
    ]) {
      const body = `{"success":false,"error":"${error}"}`;
      expect(await curl(service.url + path, ...bearer)).toMatchObject({ status: 500, body });
    }
    for (const path of ["/v1/sessions/revoke", "/v1/b2b/sessions/revoke"]) {
      const { status, body } = await curl(service.url + path, ...stytchBody);
      expect(status).toBe(500);
      expect(JSON.parse(body)).toEqual({
        status_code: 500,
        request_id: expect.stringMatching(/^request-id-test-/),
        error_type: "internal_server_error",
        error_message:
          "Oops, something seems to have gone wrong, please reach out to support@stytch.com to let us know what went wrong.",
        error_url: "https://stytch.com/docs/api/errors/500",
      });
    }
    const requestId = "ask-support-about-this";
    const kratosHeaders = [`X-Session-Token: ${token}`, `X-Request-Id: ${requestId}`];
    const kratos = await curl(
      `${service.url}/auth/sessions/${id}`,
      "-X",
      "DELETE",
      ...kratosHeaders.flatMap((header) => ["-H", header]),
    );
    const message = "the database does not answer; try again";
    expect(kratos.status).toBe(503);
    expect(kratos.headers.get("x-request-id")).toBe(requestId);
    expect(JSON.parse(kratos.body)).toEqual({
      error: { code: 503, status: "Service Unavailable", request: requestId, message },
    });
    const own = await curl(`${service.url}/session/v1/sessions/${id}`, "-u", credentials);
    expect(own.status).toBe(503);
    expect(own.headers.get("retry-after")).toBe("1");
    expect(JSON.parse(own.body)).toMatchObject({ code: 14 });
  });
});
