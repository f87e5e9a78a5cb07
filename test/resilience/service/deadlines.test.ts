import { once } from "node:events";
import { request } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { requestOf } from "../../api/http/calls.ts";
import { type Protocol, verdictOf } from "../../api/http/exchange.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { grpcJsClient, metadataOf } from "../../support/process/grpc-js.ts";
import { connectedClient, holding, lockWaits } from "../../support/postgres/operator.ts";
import { patience } from "../../support/patience.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const service = await runningService();
const operator = await connectedClient(service.databaseUrl);
const observer = await connectedClient(service.databaseUrl);
const login = await newLogin(service);

/** Works while statements on sessions wait for a lock. */
const stalled = (work: () => Promise<void>) =>
  holding(operator, "lock table cutoffs in access exclusive mode", work);

const waiting = (count: number) => vi.waitUntil(async () => (await lockWaits(observer)) === count, patience);

const asService = { authorization: service.basic };
const calls: [method: string, rest: [verb: string, path: string], body: object][] = [
  ["Authenticate", ["POST", "/session/v1/sessions:authenticate"], { token: login.token }],
  ["Get", ["GET", "/session/v1/sessions/$id"], { id: login.id }],
  ["List", ["GET", "/session/v1/sessions?member_id=m"], { member_id: "m" }],
  ["Extend", ["POST", "/session/v1/sessions/$id:extend"], { id: login.id }],
  ["Revoke", ["POST", "/session/v1/sessions/$id:revoke"], { id: login.id }],
  ["RevokeAll", ["POST", "/session/v1/sessions:revokeAll"], { project: {}, validate_only: true }],
];

/** Sends a deadline that only the service enforces. */
function send(verb: string, path: string, headers: Readonly<Record<string, string>>, body: object) {
  return fetch(service.url + path.replace("$id", login.id), {
    method: verb,
    headers: { "content-type": "application/json", ...asService, ...headers },
    ...(verb === "GET" ? {} : { body: JSON.stringify(body) }),
  });
}

function connect(method: string, body: object, timeoutMs?: number) {
  const headers = timeoutMs === undefined ? {} : { "connect-timeout-ms": String(timeoutMs) };
  return send("POST", `/session.v1.SessionService/${method}`, headers, body);
}

describe.each(calls)("%s", (method, [verb, path], body) => {
  const { id: _inPath, ...rest } = { id: "", ...body };
  test.each([
    [
      "Connect",
      () => connect(method, body, 300),
      { code: "deadline_exceeded", details: [{ debug: { reason: "DEADLINE_EXCEEDED" } }] },
    ],
    ["REST", () => send(verb, path, { "x-server-timeout": "0.3" }, rest), { code: Code.DeadlineExceeded }],
  ] as const)("ends at the deadline with its statement, over %s", async (_, call, error) => {
    await stalled(async () => {
      const answering = call();
      await waiting(1);
      const answer = await answering;
      expect(answer.status).toBe(504);
      expect(await answer.json()).toMatchObject(error);
      await waiting(0);
    });
    expect(await verdictOn(service, login)).toBe("active");
  });
});

test("a call of @grpc/grpc-js ends at its deadline, and the log shows it", async () => {
  const client = grpcJsClient(SessionService, service);
  const headers = metadataOf({ ...asService, "x-request-id": "in-a-hurry" });
  await stalled(async () => {
    const code = new Promise((resolve) => {
      client.list({ memberId: "m" }, headers, { deadline: Date.now() + 300 }, (error) =>
        resolve(error?.code),
      );
    });
    await waiting(1);
    expect(await code).toBe(Code.DeadlineExceeded);
    await waiting(0);
  });
  await expect
    .poll(() => service.log.find((line) => line["request_id"] === "in-a-hurry"))
    .toMatchObject({ method: "session.v1.SessionService/List" });
});

test("every call behind a held lock ends at its deadline with the reason, over every protocol", async () => {
  const list = (protocol: Protocol, header: string, timeout: string) => {
    const sent = requestOf(protocol, { method: "list", message: { memberId: "m" } });
    const headers = { ...sent.headers, ...asService, [header]: timeout };
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
  const lock = "lock table service_credentials in access exclusive mode";
  const answer = await holding(operator, lock, () => connect("Create", {}, 200));
  expect(answer.status).toBe(504);
  expect(await answer.json()).toMatchObject({
    message: "the deadline passed",
    details: [{ debug: { reason: "DEADLINE_EXCEEDED" } }],
  });
});

test("cancels the statement of a list when the caller disconnects", async () => {
  await stalled(async () => {
    const gone = new AbortController();
    const list = sessionsOf(service).list({ memberId: "m" }, { signal: gone.signal });
    const web = request(`${service.url}/session/v1/sessions?member_id=m`, { headers: asService });
    const outcomes = Promise.allSettled([list, once(web.end(), "response")]);
    await waiting(2);
    gone.abort();
    // A client that only closes its side (FIN) may still read the answer.
    web.socket?.resetAndDestroy();
    expect(await outcomes).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);
    await waiting(0);
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
    await waiting(1);
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
    const authenticate = (timeoutMs?: number) => connect("Authenticate", { token: login.token }, timeoutMs);
    patient = Promise.all([authenticate(), authenticate(), authenticate()]);
    const hurried = await authenticate(300);
    expect(hurried.status).toBe(504);
    expect(await lockWaits(observer)).toBeGreaterThan(0);
  });
  expect(await patient).toMatchObject([{ status: 200 }, { status: 200 }, { status: 200 }]);
});
