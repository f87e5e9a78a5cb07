import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { expect, onTestFinished, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { type Metrics, readMetrics, withHeaders } from "../../support/fixtures/service-clients.ts";
import { patience } from "../../support/patience.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { holdRevocations, serveOn } from "./operating.ts";

const service = await runningService();
const stopping = await runningService();
const { url, metricsUrl, basic, projectId, secret } = service;
const { sessions } = connectSessiond({ baseUrl: url, credential: { projectId, secret } });

const calls = "sessiond_call_duration_seconds_count";

/** The metrics once a condition holds: a call counts when its answer has ended, which can be after its client returns. */
const metricsWhere = (isSo: (metrics: Metrics) => boolean, from = metricsUrl) =>
  vi.waitFor(async () => {
    const metrics = await readMetrics(from);
    if (!isSo(metrics)) throw new Error(`not yet:\n${metrics.text}`);
    return metrics;
  }, patience);

test("counts a call of any protocol once, by method, protocol and code", async () => {
  const method = "session.v1.SessionService/List";
  const options = { baseUrl: url, interceptors: [withHeaders({ authorization: basic })] };
  const transports = {
    grpc: createGrpcTransport(options),
    "grpc-web": createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
    connect: createConnectTransport({ ...options, httpVersion: "1.1" }),
  };
  for (const transport of Object.values(transports)) {
    await createClient(SessionService, transport).list({ memberId: "counted" });
  }
  await fetch(`${url}/session/v1/sessions?member_id=counted`, { headers: { authorization: basic } });
  await fetch(`${url}/session/v1/sessions`, { headers: { authorization: basic } });
  const metrics = await metricsWhere((shown) => shown.sum(calls, { method }) === 5);
  for (const protocol of [...Object.keys(transports), "rest"]) {
    expect(metrics.sum(calls, { method, protocol, code: "Ok" }), protocol).toBe(1);
  }
  expect(metrics.sum(calls, { method, code: "InvalidArgument" })).toBe(1);
  expect(metrics.sum("sessiond_failures_total", { method, reason: "FIELD_INVALID" })).toBe(1);
  expect(metrics.sum("sessiond_call_duration_seconds_bucket", { method, le: "+Inf" })).toBe(5);
});

test("counts all paths without a method as one, so that clients cannot create metrics", async () => {
  const before = await readMetrics(metricsUrl);
  for (let i = 0; i < 20; i++) await fetch(`${url}/nowhere/${i}`, { headers: { "x-request-id": `r${i}` } });
  const unknown = { method: "POST", headers: { "content-type": "application/grpc-web+proto" } };
  for (let i = 0; i < 20; i++) await fetch(`${url}/no.such.Service${i}/Get`, unknown);
  const none = (metrics: Metrics) => metrics.sum(calls, { method: "none" });
  const after = await metricsWhere((shown) => none(shown) >= none(before) + 40);
  expect(after.text).not.toContain("nowhere");
  expect(after.text).not.toContain("no.such");
  expect(after.valuesOf("method").size).toBeLessThanOrEqual(before.valuesOf("method").size + 1);
});

test("health probes are calls that succeeded, in the metrics and in the log", async () => {
  const ok = (metrics: Metrics) => metrics.sum(calls, { method: "none", protocol: "http", code: "Ok" });
  const refused = (metrics: Metrics) => metrics.sum(calls, { code: "refused" });
  const before = await readMetrics(metricsUrl);
  for (const path of ["/livez", "/healthz"]) {
    expect((await fetch(url + path, { headers: { "x-request-id": `probe${path}` } })).status).toBe(200);
  }
  const after = await metricsWhere((shown) => ok(shown) === ok(before) + 2);
  expect(refused(after)).toBe(refused(before));
  for (const path of ["/livez", "/healthz"]) {
    const line = service.log.find((entry) => entry["request_id"] === `probe${path}`);
    expect(line).toMatchObject({ method: `GET ${path}`, code: "Ok", http_status: 200 });
  }
});

test("shows watchers and the propagation lag of revocations", async () => {
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const stream = sessions.watchRevocations({}, { signal: end.signal })[Symbol.asyncIterator]();
  await stream.next();
  expect((await readMetrics(metricsUrl)).sum("sessiond_watchers")).toBe(1);
  const before = (await readMetrics(metricsUrl)).sum("sessiond_revisions_total");
  await sessions.revoke({ target: { case: "memberId", value: "watched" } });
  const metrics = await metricsWhere((shown) => shown.sum("sessiond_revisions_total") === before + 1);
  expect(metrics.sum("sessiond_propagation_lag_seconds_count")).toBe(before + 1);
  expect(metrics.sum("sessiond_feed_staleness_seconds")).toBeLessThan(30);
});

test("shows batches, connections, the connection pool, the version and the runtime", async () => {
  await sessions.create({ memberId: "batched" });
  const metrics = await readMetrics(metricsUrl);
  expect(metrics.sum("sessiond_batch_size_count", { kind: "creations" })).toBeGreaterThan(0);
  expect(metrics.sum("sessiond_connections")).toBeGreaterThan(0);
  expect(metrics.sum("sessiond_database_connections")).toBeGreaterThan(0);
  expect(metrics.sum("sessiond_database_connections_waited_for")).toBe(0);
  expect(metrics.valuesOf("version").size).toBe(2); // sessiond's and Node's
  expect(metrics.sum("process_cpu_seconds_total")).toBeGreaterThan(0);
});

test("counts a request as in flight until its answer has ended", async () => {
  const { session } = await sessions.create({ memberId: "held" });
  await metricsWhere((shown) => shown.sum("sessiond_calls_in_flight") === 0);
  const { release } = await holdRevocations(service.databaseUrl);
  const held = sessions.revoke({ target: { case: "id", value: session?.id ?? "" } });
  await metricsWhere((shown) => shown.sum("sessiond_calls_in_flight") === 1);
  await release();
  expect((await held).revokedCount).toBe(1n);
  const metrics = await metricsWhere((shown) => shown.sum("sessiond_calls_in_flight") === 0);
  expect(metrics.sum("sessiond_calls_in_flight")).toBe(0);
});

test("serves GET /metrics only, and no calls", async () => {
  const base = new URL(metricsUrl).origin;
  const ask = async (path: string, method: string) => (await fetch(base + path, { method })).status;
  expect(await ask("/metrics?x=1", "GET")).toBe(200);
  expect(await ask("/metrics", "HEAD")).toBe(200);
  expect(await ask("/metrics", "POST")).toBe(405);
  expect(await ask("/", "GET")).toBe(404);
  expect(await ask("/session/v1/sessions", "GET")).toBe(404);
  expect((await fetch(metricsUrl)).headers.get("content-type")).toBe(
    "text/plain; version=0.0.4; charset=utf-8",
  );
  expect((await fetch(`${url}/metrics`)).status).toBe(404);
});

test("sums the metrics of workers", async () => {
  const workers = serveOn(await databaseOfTest(), {
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
    SESSIOND_WORKERS: "2",
    SESSIOND_METRICS_LISTEN: "127.0.0.1:0",
  });
  const port = await workers.listening;
  const [, shownAt] = /"port":(\d+),"msg":"serving metrics"/.exec(workers.stderr()) ?? [];
  const from = `http://127.0.0.1:${shownAt}/metrics`;
  // Each call has its own connection; the workers get them in turn.
  for (let i = 0; i < 4; i++) {
    await fetch(`http://127.0.0.1:${port}/session/v1/sessions?member_id=m`, {
      headers: { authorization: basic, connection: "close" },
    });
  }
  const method = "session.v1.SessionService/List";
  const metrics = await metricsWhere((shown) => shown.sum(calls, { method }) === 4, from);
  expect(metrics.samples.filter(({ name }) => name === "sessiond_build_info")).toHaveLength(1);
  expect(metrics.sum("sessiond_build_info")).toBe(1);
  expect(metrics.sum("sessiond_database_connections")).toBeGreaterThanOrEqual(2);
});

test("serves metrics until everything else has ended", async () => {
  const { release } = await holdRevocations(stopping.databaseUrl);
  const credential = { projectId: stopping.projectId, secret: stopping.secret };
  const client = connectSessiond({ baseUrl: stopping.url, credential }).sessions;
  const held = client.revoke({ target: { case: "memberId", value: "any-member" } });
  await metricsWhere((shown) => shown.sum("sessiond_calls_in_flight") === 1, stopping.metricsUrl);
  const stopped = stopping.stop();
  const draining = await readMetrics(stopping.metricsUrl);
  expect(draining.sum("sessiond_calls_in_flight")).toBe(1);
  await release();
  await held;
  await stopped;
  await expect(fetch(stopping.metricsUrl)).rejects.toThrow("fetch failed");
});
