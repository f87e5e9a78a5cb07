import { Code } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { afterAll, expect, test, vi } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { Tracing } from "../../../src/server/observability/tracing.ts";
import { recordOutput } from "../../support/output/output.ts";
import { patience } from "../../support/patience.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { serveOn } from "./operating.ts";

const withoutSdk = Tracing.ofProcess();
const exporter = new InMemorySpanExporter();

/** A service in a process with an SDK, registered as by an operator's `--import`. */
async function tracedService() {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  return runningService();
}

const service = await tracedService();
afterAll(() => {
  recordOutput("traces", exportedSpans());
});

/** The exported spans, without the fields that refer to the SDK. */
function exportedSpans(): string {
  const spans = exporter.getFinishedSpans();
  return JSON.stringify(
    spans.map(({ name, attributes, status, events }) => ({ name, attributes, status, events })),
  );
}

test("traces nothing without an SDK", () => {
  expect(withoutSdk).toBeUndefined();
});

const traceId = "0af7651916cd43dd8448eb211c80319c";
const parentId = "b7ad6b7169203331";
const headers = {
  authorization: service.basic,
  traceparent: `00-${traceId}-${parentId}-01`,
  tracestate: "a=b",
};

/** The span of the call with this request id; created when the call has ended. */
const spanOf = (requestId: string): Promise<ReadableSpan> =>
  vi.waitFor(() => {
    const span = exporter
      .getFinishedSpans()
      .find(({ attributes }) => attributes["sessiond.request_id"] === requestId);
    if (span === undefined) throw new Error("no such span yet");
    return span;
  }, patience);

test("a gRPC call is a span in its caller's trace", async () => {
  const { sessions } = connectSessiond({ baseUrl: service.url, credential: service });
  await sessions.create({ memberId: "traced" }, { headers: { ...headers, "x-request-id": "traced-grpc" } });
  const span = await spanOf("traced-grpc");
  expect(span.name).toBe("session.v1.SessionService/Create");
  expect(span.kind).toBe(SpanKind.SERVER);
  expect(span.spanContext().traceId).toBe(traceId);
  expect(span.parentSpanContext?.spanId).toBe(parentId);
  expect(span.spanContext().traceState?.get("a")).toBe("b");
  expect(span.status.code).toBe(SpanStatusCode.UNSET);
  expect(span.attributes).toEqual({
    "rpc.system": "grpc",
    "rpc.service": "session.v1.SessionService",
    "rpc.method": "Create",
    "rpc.grpc.status_code": 0,
    "sessiond.project": service.projectId,
    "sessiond.request_id": "traced-grpc",
  });
  const [seconds, nanoseconds] = span.startTime;
  expect(Math.abs(seconds * 1000 + nanoseconds / 1e6 - Date.now())).toBeLessThan(60_000);
});

/** Sends a request, and returns its status and span. */
async function traced(path: string, requestId: string, callHeaders = {}) {
  const sent = { ...callHeaders, "x-request-id": requestId };
  const { status } = await fetch(service.url + path, { headers: sent });
  return { status, span: await spanOf(requestId) };
}

test("the log line names the trace", async () => {
  const { span } = await traced("/session/v1/sessions?member_id=m", "traced-log", headers);
  expect(span.attributes).toMatchObject({ "http.request.method": "GET", "http.response.status_code": 200 });
  const line = service.log.find(({ request_id }) => request_id === "traced-log");
  expect(line).toMatchObject({ trace_id: traceId });
});

test("a rejected call has a reason, and no error status", async () => {
  const { status, span } = await traced("/session/v1/sessions/no-uuid", "traced-refusal", headers);
  expect(status).toBe(400);
  expect(span.status.code).toBe(SpanStatusCode.UNSET);
  expect(span.attributes["error.type"]).toBe("FIELD_INVALID");
});

test("the span of an unknown path does not contain the path", async () => {
  const { span } = await traced("/nowhere/secret", "traced-nowhere");
  expect(span.name).toBe("HTTP");
  expect(span.parentSpanContext).toBeUndefined();
  expect(JSON.stringify(span.attributes)).not.toContain("nowhere/");
});

test("no span contains a secret", async () => {
  const { sessions } = connectSessiond({ baseUrl: service.url, credential: service });
  const { token, jwt } = await sessions.create({ memberId: "secret" });
  await sessions.authenticate(
    { credential: { case: "token", value: token } },
    { headers: { "x-request-id": "traced-secret" } },
  );
  await expect(
    sessions.authenticate({ credential: { case: "jwt", value: `${jwt}x` } }),
  ).rejects.toMatchObject({ code: Code.Unauthenticated });
  await spanOf("traced-secret");
  for (const secret of [service.secret, token, jwt]) expect(exportedSpans()).not.toContain(secret);
});

test("an SDK can be loaded with --import", async () => {
  const served = serveOn(await databaseOfTest(), {
    NODE_OPTIONS: `--import ${new URL("../../support/console-tracing.ts", import.meta.url).href}`,
  });
  const baseUrl = `http://127.0.0.1:${await served.listening}`;
  await fetch(`${baseUrl}/session/v1/projects/none/jwks`, { headers: { traceparent: headers.traceparent } });
  await vi.waitFor(() => expect(served.stdout()).toContain(`traceId: '${traceId}'`), patience);
  expect(served.stdout()).toContain("session.v1.ProjectService/GetJwks");
});
