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

  /** Exports the span of a call that ended, on the clock of `performance.now()`, and returns its trace id if it has one. */
  end(record: CallRecord, verb: string | undefined, code: string, status: number, endedAt: number) {
    const { id, method, protocol, reason, identity } = record;
    const isGrpc = protocol === "grpc" || protocol === "grpc-web";
    const isRest = protocol === "rest" || method === undefined;
    const [serviceName, methodName] = method?.split("/") ?? [];
    // Undefined attributes are left out.
    const attributes: Attributes = {
      "rpc.system": method && rpcSystem(protocol),
      "rpc.service": serviceName,
      "rpc.method": methodName,
      "rpc.grpc.status_code": isGrpc ? statusNumber(code) : undefined,
      "http.request.method": isRest ? verb : undefined,
      "http.response.status_code": isRest ? status : undefined,
      "sessiond.request_id": id,
      "sessiond.project": identity?.caller.project.id,
      "error.type": code === "Ok" ? undefined : (reason ?? code),
    };
    const span = this.#tracer.startSpan(
      method ?? "HTTP",
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

function statusNumber(code: string): number {
  const number: unknown = Reflect.get(Code, code);
  return typeof number === "number" ? number : 0;
}
