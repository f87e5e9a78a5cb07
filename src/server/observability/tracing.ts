import type { IncomingHttpHeaders } from "node:http";
import {
  type Attributes,
  type Context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  isSpanContextValid,
  propagation,
  trace,
} from "@opentelemetry/api";
import { Code } from "@connectrpc/connect";
import type { CallRecord } from "../../rpc/call-record.ts";
import { version } from "../config/config.ts";

/** Codes that are server errors in OpenTelemetry's conventions for RPC. */
const faults: ReadonlySet<string> = new Set(
  [
    Code.Unknown,
    Code.DeadlineExceeded,
    Code.Unimplemented,
    Code.Internal,
    Code.Unavailable,
    Code.DataLoss,
  ].map((code) => Code[code]),
);

interface EndedCall {
  readonly record: CallRecord;
  /** HTTP method. */
  readonly verb: string | undefined;
  readonly code: string;
  readonly httpStatus: number;
  /** On the clock of `performance.now()`. */
  readonly endedAt: number;
}

/**
 * Creates a span for every call in its caller's trace. The span is created when the call has ended: an open span would become
 * the parent of statements that many calls share.
 */
export class Tracing {
  readonly #tracer: Tracer;
  readonly #parents = new WeakMap<CallRecord, Context>();

  private constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Undefined unless an OpenTelemetry SDK is registered, so that tracing costs nothing without one. */
  static ofProcess(): Tracing | undefined {
    const provider = trace.getTracerProvider();
    const hasSdk =
      !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer("sessiond") !== undefined;
    return hasSdk ? new Tracing(trace.getTracer("sessiond", version())) : undefined;
  }

  /** Extracts the caller's trace context from the headers, with the propagators of the SDK. */
  begin(record: CallRecord, headers: IncomingHttpHeaders): void {
    this.#parents.set(record, propagation.extract(ROOT_CONTEXT, headers));
  }

  /** Exports the span of a call, and returns its trace id if it has one. */
  end({ record, verb, code, httpStatus, endedAt }: EndedCall): string | undefined {
    const isRest = record.protocol === "rest" || record.method === undefined;
    const [service = "", method = ""] = record.method?.split("/") ?? [];
    const attributes: Attributes = {
      ...(record.method === undefined
        ? {}
        : { "rpc.system": rpcSystem(record.protocol), "rpc.service": service, "rpc.method": method }),
      ...(record.protocol === "grpc" || record.protocol === "grpc-web"
        ? { "rpc.grpc.status_code": statusNumber(code) }
        : {}),
      ...(isRest && verb !== undefined ? { "http.request.method": verb } : {}),
      ...(isRest ? { "http.response.status_code": httpStatus } : {}),
      "sessiond.request_id": record.id,
    };
    const project = record.identity?.caller.project.id;
    if (project !== undefined) attributes["sessiond.project"] = project;
    if (code !== "Ok") attributes["error.type"] = record.reason ?? code;
    const span = this.#tracer.startSpan(
      record.method ?? "HTTP",
      { kind: SpanKind.SERVER, startTime: performance.timeOrigin + record.start, attributes },
      this.#parents.get(record) ?? ROOT_CONTEXT,
    );
    if (faults.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(performance.timeOrigin + endedAt);
    const context = span.spanContext();
    return isSpanContextValid(context) ? context.traceId : undefined;
  }
}

function rpcSystem(protocol: string | undefined): string {
  return protocol === "connect" ? "connect_rpc" : protocol === "rest" ? "rest" : "grpc";
}

/** The number of a gRPC status. */
function statusNumber(code: string): number {
  const number: unknown = Reflect.get(Code, code);
  return typeof number === "number" ? number : 0;
}
