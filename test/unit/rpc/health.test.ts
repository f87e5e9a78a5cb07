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
    services: [service],
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
  test("Check and List follow the database; Check of an unknown service is NOT_FOUND", async () => {
    const { clock, database, url } = await servingHealth();
    const client = createClient(Health, connect(url));
    for (const status of [Status.SERVING, Status.NOT_SERVING]) {
      database.ready = status === Status.SERVING;
      clock.advance(100);
      expect((await client.check({})).status).toBe(status);
      expect((await client.check({ service })).status).toBe(status);
      expect((await client.list({})).statuses).toMatchObject({ "": { status }, [service]: { status } });
      await expect(client.check({ service: "no.such" })).rejects.toMatchObject({ code: Code.NotFound });
    }
  });

  test("Watch of an unknown service is SERVICE_UNKNOWN", async () => {
    const { url } = await servingHealth();
    const watch = createClient(Health, connect(url)).watch({ service: "no.such" })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Status.SERVICE_UNKNOWN });
  });

  test("Watch sends changes, and ends with UNAVAILABLE at shutdown", async () => {
    const { clock, database, shutdown, url } = await servingHealth();
    const watch = createClient(Health, connect(url)).watch({ service })[Symbol.asyncIterator]();
    const next = async () => {
      const result: IteratorResult<HealthCheckResponse> = await watch.next();
      return result.done === true ? "ended" : result.value.status;
    };
    expect(await next()).toBe(Status.SERVING);
    database.ready = false;
    clock.advance(1_000);
    expect(await next()).toBe(Status.NOT_SERVING);
    shutdown.abort(new ConnectError("the server is stopping", Code.Unavailable));
    await expect(next()).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the server is stopping",
    });
  });
});

test("concurrent checks ask the database once", async () => {
  const { database, url } = await servingHealth();
  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  await Promise.all(Array.from({ length: 500 }, () => client.check({})));
  expect(database.asked).toBe(1);
});

test("a draining server is NOT_SERVING", async () => {
  const { health, url } = await servingHealth();
  const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
  const watch = client.watch({})[Symbol.asyncIterator]();
  expect((await watch.next()).value).toMatchObject({ status: Status.SERVING });
  health.drain();
  expect((await watch.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  expect((await client.check({ service })).status).toBe(Status.NOT_SERVING);
});

test("the database is polled only while there is a watcher", async () => {
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
  clock.advance(1_000);
  await expect.poll(() => database.asked).toBe(2);
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

test("2,000 ended watches leave no timer and no listener behind", async () => {
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
  health.drain();
  expect((await client.check({})).status).toBe(Status.NOT_SERVING);
});
