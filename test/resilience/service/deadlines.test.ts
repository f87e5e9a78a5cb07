import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { requestOf } from "../../api/http/calls.ts";
import { type Protocol, verdictOf } from "../../api/http/exchange.ts";
import { type Login, newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { grpcJsClient, metadataOf } from "../../support/process/grpc-js.ts";
import { patience } from "../../support/patience.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf, withHeaders } from "../../support/fixtures/service-clients.ts";

const service = await runningService();
const operator = new Client({ connectionString: service.databaseUrl });
/** Used outside of transactions, because a transaction reads pg_stat_activity only once. */
const observer = new Client({ connectionString: service.databaseUrl });
let login: Login;
beforeAll(async () => {
  await Promise.all([operator.connect(), observer.connect()]);
  login = await newLogin(service);
});
afterAll(() => Promise.all([operator.end(), observer.end()]));

/** Runs while statements on sessions wait for a lock. */
async function stalled(work: () => Promise<void>): Promise<void> {
  await operator.query("begin");
  await operator.query("lock table cutoffs in access exclusive mode");
  try {
    await work();
  } finally {
    await operator.query("rollback");
  }
}

async function waiting(): Promise<number> {
  const { rowCount } = await observer.query(
    `select from pg_stat_activity where datname = current_database() and application_name = 'sessiond'
       and state = 'active' and wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}

const asService = () => ({ authorization: service.basic });
const calls: [method: string, rest: [verb: string, path: string], body: () => object][] = [
  ["Authenticate", ["POST", "/session/v1/sessions:authenticate"], () => ({ token: login.token })],
  ["Get", ["GET", "/session/v1/sessions/$id"], () => ({ id: login.id })],
  ["List", ["GET", "/session/v1/sessions?member_id=m"], () => ({ member_id: "m" })],
  ["Extend", ["POST", "/session/v1/sessions/$id:extend"], () => ({ id: login.id })],
  ["Revoke", ["POST", "/session/v1/sessions/$id:revoke"], () => ({ id: login.id })],
  ["RevokeAll", ["POST", "/session/v1/sessions:revokeAll"], () => ({ project: true, validate_only: true })],
];

/** Sends a deadline that only the service enforces. */
function send(verb: string, path: string, headers: Readonly<Record<string, string>>, body: object) {
  return fetch(service.url + path.replace("$id", login.id), {
    method: verb,
    headers: { "content-type": "application/json", ...asService(), ...headers },
    ...(verb === "GET" ? {} : { body: JSON.stringify(body) }),
  });
}

describe.each(calls)("%s", (method, [verb, path], body) => {
  test("over Connect ends at the deadline, with its statement", async () => {
    await stalled(async () => {
      const call = send(
        "POST",
        `/session.v1.SessionService/${method}`,
        { "connect-timeout-ms": "300" },
        body(),
      );
      await vi.waitUntil(async () => (await waiting()) === 1, patience);
      const answer = await call;
      expect(answer.status).toBe(504);
      expect(await answer.json()).toMatchObject({
        code: "deadline_exceeded",
        details: [{ debug: { reason: "DEADLINE_EXCEEDED" } }],
      });
      await expect.poll(waiting, patience).toBe(0);
    });
    expect(await verdictOn(service, login)).toBe("active");
  });

  test("over REST too", async () => {
    await stalled(async () => {
      const { id: _inPath, ...rest } = { id: "", ...body() };
      const call = send(verb, path, { "x-server-timeout": "0.3" }, rest);
      await vi.waitUntil(async () => (await waiting()) === 1, patience);
      expect((await call).status).toBe(504);
      await expect.poll(waiting, patience).toBe(0);
    });
    expect(await verdictOn(service, login)).toBe("active");
  });
});

test("over gRPC with @grpc/grpc-js, and the log shows it", async () => {
  const client = grpcJsClient(SessionService, service);
  const headers = metadataOf({ ...asService(), "x-request-id": "in-a-hurry" });
  await stalled(async () => {
    const code = new Promise((resolve) => {
      client.list({ memberId: "m" }, headers, { deadline: Date.now() + 300 }, (error) =>
        resolve(error?.code),
      );
    });
    await vi.waitUntil(async () => (await waiting()) === 1, patience);
    expect(await code).toBe(Code.DeadlineExceeded);
    await expect.poll(waiting, patience).toBe(0);
  });
  await expect
    .poll(() => service.log.find((line) => line["request_id"] === "in-a-hurry"))
    .toMatchObject({ method: "session.v1.SessionService/List" });
});

test("every call behind a held lock ends at its deadline with the reason, over every protocol", async () => {
  const list = (protocol: Protocol, header: string, timeout: string) => {
    const sent = requestOf(protocol, { method: "list", message: { memberId: "m" } });
    const headers = { ...sent.headers, ...asService(), [header]: timeout };
    return verdictOf(service.port, protocol, { ...sent, headers });
  };
  await stalled(async () => {
    const timeoutsMs = Array.from({ length: 12 }, (_, i) => 200 + 10 * i);
    const verdicts = timeoutsMs.flatMap((ms) => [
      list("gRPC", "grpc-timeout", `${ms}m`),
      list("gRPC-Web", "grpc-timeout", `${ms}m`),
      list("Connect", "connect-timeout-ms", `${ms}`),
      list("REST", "x-server-timeout", `${ms / 1000}`),
    ]);
    const reasons = (await Promise.all(verdicts)).map(({ reason }) => reason);
    expect(new Set(reasons)).toEqual(new Set(["DEADLINE_EXCEEDED"]));
  });
});

test("authentication ends at the deadline", async () => {
  await operator.query("begin");
  await operator.query("lock table service_credentials in access exclusive mode");
  const answer = await send("POST", "/session.v1.SessionService/Create", { "connect-timeout-ms": "200" }, {});
  await operator.query("rollback");
  expect(answer.status).toBe(504);
  expect(await answer.json()).toMatchObject({
    message: "the deadline passed",
    details: [{ debug: { reason: "DEADLINE_EXCEEDED" } }],
  });
});

test("cancels the statement of a list when the caller disconnects", async () => {
  await stalled(async () => {
    const gone = new AbortController();
    const transport = createGrpcTransport({ baseUrl: service.url, interceptors: [withHeaders(asService())] });
    const list = createClient(SessionService, transport).list({ memberId: "m" }, { signal: gone.signal });
    const web = fetch(`${service.url}/session/v1/sessions?member_id=m`, {
      headers: asService(),
      signal: gone.signal,
    });
    const outcomes = Promise.allSettled([list, web]);
    await vi.waitUntil(async () => (await waiting()) === 2, patience);
    gone.abort();
    await outcomes;
    await expect.poll(waiting, patience).toBe(0);
  });
});

test("skips a revocation whose deadline passes before its batch starts", async () => {
  const [first, second] = [await newLogin(service), await newLogin(service)];
  const revoke = (id: string, timeoutMs?: number) =>
    sessionsOf(service).revoke(
      { target: { case: "id", value: id } },
      timeoutMs === undefined ? {} : { timeoutMs },
    );
  let running: Promise<unknown> = Promise.resolve();
  await stalled(async () => {
    running = revoke(first.id);
    await vi.waitUntil(async () => (await waiting()) === 1, patience);
    const error = await revoke(second.id, 300).catch((reason: unknown) => reason);
    expect(ConnectError.from(error).code).toBe(Code.DeadlineExceeded);
  });
  await running;
  // A later revocation is answered after the batch of the expired one.
  await revoke(first.id);
  expect(await verdictOn(service, first)).toBe("SESSION_REVOKED");
  expect(await verdictOn(service, second)).toBe("active");
});

test("a call ends at its deadline although others wait longer for the same statement", async () => {
  let patient: Promise<unknown> = Promise.resolve();
  await stalled(async () => {
    const authenticate = (headers: Readonly<Record<string, string>>) =>
      send("POST", "/session.v1.SessionService/Authenticate", headers, { token: login.token });
    patient = Promise.all([authenticate({}), authenticate({}), authenticate({})]);
    const hurried = await authenticate({ "connect-timeout-ms": "300" });
    expect(hurried.status).toBe(504);
    expect(await waiting()).toBeGreaterThan(0);
  });
  expect(await patient).toMatchObject([{ status: 200 }, { status: 200 }, { status: 200 }]);
});
