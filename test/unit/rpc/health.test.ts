import { Code, ConnectError, type Transport, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { credentials, status as grpcStatus } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { createHealth } from "../../../src/rpc/grpc/health.ts";
import { manualClock } from "./manual-clock.ts";
import { serving } from "./serving.ts";

const service = "session.v1.SessionService";

/** A health whose readiness and time the test sets, served for all protocols. */
async function servingHealth() {
  const clock = manualClock();
  const database = { ready: true, asked: 0 };
  const health = createHealth({
    clock,
    readyMaxAgeMs: 100,
    pollIntervalMs: 1_000,
    async ready() {
      database.asked++;
      return database.ready;
    },
  });
  const shutdown = new AbortController();
  const { url, port } = await serving(
    (router) => router.service(Health, health.implementation),
    shutdown.signal,
  );
  return { clock, database, health, shutdown, url, port };
}

const transports: [name: string, connect: (baseUrl: string) => Transport][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web over HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
];

describe.each(transports)("%s", (_, connect) => {
  test("Check says SERVING, NOT_SERVING and NOT_FOUND", async () => {
    const { health, url } = await servingHealth();
    health.set(service, "not_serving");
    const client = createClient(Health, connect(url));
    expect((await client.check({})).status).toBe(Status.SERVING);
    expect((await client.check({ service })).status).toBe(Status.NOT_SERVING);
    await expect(client.check({ service: "no.such" })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test("List says all of it", async () => {
    const { health, url } = await servingHealth();
    health.set(service, "not_serving");
    const { statuses } = await createClient(Health, connect(url)).list({});
    expect(statuses).toMatchObject({
      "": { status: Status.SERVING },
      [service]: { status: Status.NOT_SERVING },
    });
  });

  test("Watch says what changes, and ends with UNAVAILABLE at shutdown", async () => {
    const { health, shutdown, url } = await servingHealth();
    const watch = createClient(Health, connect(url)).watch({ service })[Symbol.asyncIterator]();
    const next = async () => {
      const result: IteratorResult<HealthCheckResponse> = await watch.next();
      return result.done === true ? "ended" : result.value.status;
    };
    expect(await next()).toBe(Status.SERVICE_UNKNOWN);
    health.set(service, "serving");
    expect(await next()).toBe(Status.SERVING);
    health.set(service, "serving");
    health.set("other", "serving");
    health.set(service, "not_serving");
    expect(await next()).toBe(Status.NOT_SERVING);
    shutdown.abort(new ConnectError("the server is stopping", Code.Unavailable));
    await expect(next()).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the server is stopping",
    });
  });
});

test("nothing serves while the database does not", async () => {
  const { clock, database, health, url } = await servingHealth();
  health.set(service, "serving");
  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  expect((await client.check({ service })).status).toBe(Status.SERVING);
  database.ready = false;
  clock.advance(100);
  expect((await client.check({ service })).status).toBe(Status.NOT_SERVING);
  expect((await client.check({})).status).toBe(Status.NOT_SERVING);
  await expect(client.check({ service: "no.such" })).rejects.toMatchObject({ code: Code.NotFound });
});

test("a flood of checks asks the database once", async () => {
  const { database, url } = await servingHealth();
  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  await Promise.all(Array.from({ length: 500 }, () => client.check({})));
  expect(database.asked).toBe(1);
});

test("a server that drains serves nothing, whatever is set after that", async () => {
  const { health, url } = await servingHealth();
  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  const watch = client.watch({})[Symbol.asyncIterator]();
  expect((await watch.next()).value).toMatchObject({ status: Status.SERVING });
  health.drain();
  health.set("", "serving");
  health.set(service, "serving");
  expect((await watch.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  expect((await client.check({ service })).status).toBe(Status.NOT_SERVING);
});

test("the database is polled while somebody watches, and only then", async () => {
  const { clock, database, port } = await servingHealth();
  const client = grpcClient(Health, `127.0.0.1:${port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  expect(clock.pending).toBe(0);
  const call = client.watch({});
  const statuses: Status[] = [];
  let wake = () => {};
  call.on("data", ({ status }: HealthCheckResponse) => {
    statuses.push(status);
    wake();
  });
  const received = async (count: number) => {
    while (statuses.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return statuses;
  };
  expect(await received(1)).toEqual([Status.SERVING]);
  database.ready = false;
  clock.advance(1_000);
  expect(await received(2)).toEqual([Status.SERVING, Status.NOT_SERVING]);
  database.ready = true;
  clock.advance(1_000);
  expect(await received(3)).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]);

  const ended = new Promise<number>((resolve) => {
    call.on("error", (error: { code?: number }) => resolve(error.code ?? -1));
  });
  call.cancel();
  expect(await ended).toBe(grpcStatus.CANCELLED);
  await expect.poll(() => clock.pending).toBe(0);
  const { asked } = database;
  clock.advance(10_000);
  expect(database.asked).toBe(asked);
});

test("two thousand watches that come and go leave nothing behind", async () => {
  const { clock, health, shutdown, url } = await servingHealth();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  let listeners = 0;
  const { signal } = shutdown;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };

  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  const watchOnce = async () => {
    const cancel = new AbortController();
    for await (const { status } of client.watch({}, { signal: cancel.signal })) {
      expect(status).toBe(Status.SERVING);
      cancel.abort();
    }
  };
  for (let round = 0; round < 40; round++) {
    const ended = await Promise.allSettled(Array.from({ length: 50 }, watchOnce));
    for (const each of ended) expect(each).toMatchObject({ reason: { code: Code.Canceled } });
  }
  await expect.poll(() => clock.pending).toBe(0);
  await expect.poll(() => listeners).toBeLessThanOrEqual(0);
  expect(warnings).toEqual([]);
  health.set("", "not_serving");
  expect((await client.check({})).status).toBe(Status.NOT_SERVING);
});
