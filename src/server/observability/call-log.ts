import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import type { Logger } from "pino";
import { actingUserOf, actorOf } from "../../domain/use-cases/caller.ts";
import { type CallRecord, callRecordKey } from "../../rpc/call-record.ts";
import { type HttpRequest, type RequestHandler, pathOf } from "../../transport/http-message.ts";
import type { Metrics } from "./metrics.ts";
import { PeerRegistry } from "../listener/peer.ts";
import { describeFault, withoutSecrets } from "./log.ts";
import type { Tracing } from "./tracing.ts";

export interface CallObservers {
  readonly metrics?: Metrics | undefined;
  readonly tracing?: Tracing | undefined;
}

/** Keeps a record of every request, from its arrival to its one line in the log. */
export class CallLog {
  readonly #log: Logger;
  readonly #observers: CallObservers;
  readonly #peers: PeerRegistry;
  readonly #records = new WeakMap<HttpRequest, CallRecord>();

  constructor(log: Logger, observers: CallObservers = {}, peers = new PeerRegistry()) {
    this.#log = log;
    this.#observers = observers;
    this.#peers = peers;
  }

  /** Starts the record of a request with these headers on this connection: a socket, or an HTTP/2 session. */
  begin(headers: IncomingHttpHeaders, connection: object | undefined): CallRecord {
    const uuid = randomUUID();
    const id = saneId(headers["x-request-id"]) ?? uuid;
    const record = { id, uuid, start: performance.now(), peer: this.#peers.peerOf(connection) };
    this.#observers.metrics?.callBegan();
    this.#observers.tracing?.begin(record, headers);
    return record;
  }

  /** Writes the one line of a request whose answer has ended. */
  end(record: CallRecord, request: RequestLine, httpStatus: number): void {
    const endedAt = performance.now();
    const code = record.code ?? "refused";
    this.#observers.metrics?.callEnded(record, code, endedAt - record.start);
    const { caller, service } = record.identity ?? {};
    const actingUser = caller && actingUserOf(caller);
    // Pino leaves out undefined fields.
    const fields = {
      request_id: record.id,
      uuid: record.uuid === record.id ? undefined : record.uuid,
      trace_id: this.#observers.tracing?.end(record, request.method, code, httpStatus, endedAt),
      protocol: record.protocol ?? "http",
      method: record.method ?? `${request.method} ${withoutSecrets(shownPath(request))}`,
      project: caller?.project.id,
      caller: caller && actorOf(caller),
      acting_user: actingUser && withoutSecrets(actingUser),
      via: service && service !== caller ? actorOf(service) : undefined,
      code,
      reason: record.reason,
      http_status: httpStatus,
      duration_ms: Math.round((endedAt - record.start) * 1000) / 1000,
    };
    if (record.fault === undefined) this.#log.info(fields, "call");
    else this.#log.error({ ...fields, fault: describeFault(record.fault) }, "call failed inside");
  }

  /** Gives each request its id, returns it as `X-Request-Id`, and logs the request when its answer has ended. */
  around(handler: RequestHandler): RequestHandler {
    return (request, response) => {
      const record = this.begin(request.headers, connectionOf(request));
      this.#records.set(request, record);
      response.setHeader("x-request-id", record.id);
      response.once("close", () => this.end(record, request, response.statusCode));
      return handler(request, response);
    };
  }

  /** Records that a request which calls no method was answered. */
  succeeded(request: HttpRequest): void {
    const record = this.#records.get(request);
    if (record !== undefined) record.code = "Ok";
  }

  /** Context values that carry the request's record to interceptors, handlers and error writers. */
  contextValues(request: HttpRequest): ContextValues {
    const record = this.#records.get(request);
    return record === undefined ? createContextValues() : contextValuesOf(record);
  }
}

/** The connection of a request: HTTP/2 hides the socket behind its session. */
function connectionOf(request: HttpRequest): object | undefined {
  return "stream" in request ? request.stream.session : request.socket;
}

type RequestLine = Pick<HttpRequest, "method" | "url">;

export function contextValuesOf(record: CallRecord): ContextValues {
  return createContextValues().set(callRecordKey, record);
}

/** The caller's own request id if it has 1 to 128 visible ASCII characters. */
function saneId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[\x21-\x7e]{1,128}$/.test(header)
    ? withoutSecrets(header)
    : undefined;
}

/**
 * The path of a request that matched no method, shortened and without its query. Leaves out segments longer than a UUID or a
 * method's name: they may be a secret in the wrong place, escaped beyond recognition.
 */
function shownPath(request: RequestLine): string {
  return pathOf(request.url ?? "")
    .replace(/[^/]{41,}/g, "...")
    .slice(0, 200);
}
