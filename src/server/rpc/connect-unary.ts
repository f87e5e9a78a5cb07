import type { OutgoingHttpHeaders } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { type Compression, mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { callRecordKey } from "../../rpc/call-record.ts";
import type { RequestGate } from "../../rpc/gate.ts";
import type { CallLog } from "../observability/call-log.ts";
import type { HttpRequest, HttpResponse } from "../../transport/http-message.ts";
import { addHeaders, singleHeader } from "./node-headers.ts";
import type { RequestBytes } from "./request-bytes.ts";
import { AcceptedCompression, compressMinBytes } from "./response-compression.ts";
import { UnaryCall } from "./unary-call.ts";
import { type UnaryExchange, runUnary } from "./unary-exchange.ts";
import type { UnaryMethod } from "./unary-method.ts";

/** What unary Connect calls are served with. */
export interface ConnectUnaryOptions {
  /** By path. */
  readonly methods: ReadonlyMap<string, UnaryMethod>;
  readonly gate: RequestGate;
  readonly calls: CallLog;
  readonly readMaxBytes: number;
  readonly maxTimeoutMs: number;
  /** Serves a request of whose body this much has been read already. */
  readonly replay: (request: HttpRequest, response: HttpResponse, received: RequestBytes) => Promise<void>;
}

/** The formats of a message, by content type; everything else is left to Connect's handlers. */
const formats: ReadonlyMap<string | undefined, "json" | "proto"> = new Map([
  ["application/json", "json"],
  ["application/json; charset=utf-8", "json"],
  ["application/proto", "proto"],
]);

/**
 * Serves plain unary Connect calls. Whatever is unusual (GET, compressed requests, odd headers) is left to Connect's
 * handlers.
 */
export class ConnectUnary {
  readonly #options: ConnectUnaryOptions;
  readonly #compression = new AcceptedCompression("accept-encoding");

  constructor(options: ConnectUnaryOptions) {
    this.#options = options;
  }

  /** Serves a request that is plain enough; undefined where it is not. */
  take(request: HttpRequest, response: HttpResponse): Promise<void> | undefined {
    const { methods, calls, gate, readMaxBytes, maxTimeoutMs, replay } = this.#options;
    const { headers } = request;
    const method = methods.get(request.url ?? "");
    const format = formats.get(headers["content-type"]);
    if (method === undefined || format === undefined || !isPlain(request)) return undefined;
    const timeout = headers["connect-timeout-ms"];
    const values = calls.contextValues(request);
    const scheme = values.get(callRecordKey).peer.secure ? "https" : "http";
    const call = new UnaryCall({
      method: method.method,
      protocolName: "connect",
      origin: `${scheme}://${"authority" in request ? request.authority : headers.host}`,
      path: request.url ?? "",
      headers,
      values,
      timeout: timeout === undefined ? undefined : Math.min(Number(timeout), maxTimeoutMs),
    });
    response.once("close", () => {
      if (!response.headersSent) call.abort(new ConnectError("the client went away", Code.Canceled));
    });
    const compression = this.#compression.of(singleHeader(headers["accept-encoding"]));
    const init = { request, response, method, call, format, compression, readMaxBytes, replay };
    return runUnary(method, gate, new ConnectExchange(init));
  }
}

interface ConnectExchangeInit {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly method: UnaryMethod;
  readonly call: UnaryCall;
  readonly format: "json" | "proto";
  readonly compression: Compression | null;
  readonly readMaxBytes: number;
  readonly replay: ConnectUnaryOptions["replay"];
}

class ConnectExchange implements UnaryExchange {
  readonly call: UnaryCall;
  readonly body: HttpRequest;
  readonly maxBodyBytes: number;
  readonly #init: ConnectExchangeInit;

  constructor(init: ConnectExchangeInit) {
    this.call = init.call;
    this.body = init.request;
    this.maxBodyBytes = init.readMaxBytes;
    this.#init = init;
  }

  decode(body: Buffer): Message | undefined {
    const { method, format } = this.#init;
    return format === "json" ? method.decodeJson(body) : method.decodeBinary(body);
  }

  replay(received: RequestBytes): Promise<void> {
    return this.#init.replay(this.#init.request, this.#init.response, received);
  }

  encode(output: Message): Uint8Array {
    const { method, format } = this.#init;
    return format === "json" ? method.encodeJson(output) : method.encodeBinary(output);
  }

  succeed(message: Uint8Array): Promise<void> {
    return this.#respond(200, `application/${this.#init.format}`, message);
  }

  fail(error: ConnectError): Promise<void> {
    mergeNonProtocolHeaders(this.call.responseHeader, error.metadata);
    const message = errorToJsonBytes(error, this.#init.method.jsonOptions);
    return this.#respond(codeToHttpStatus(error.code), "application/json", message);
  }

  async #respond(status: number, contentType: string, message: Uint8Array): Promise<void> {
    const { call } = this;
    const { request, response, compression } = this.#init;
    call.abort();
    const headers: OutgoingHttpHeaders = {};
    addHeaders(headers, call.setHeaders);
    addHeaders(headers, call.setTrailers, "trailer-");
    headers["content-type"] = contentType;
    let body = message;
    if (compression !== null && message.length >= compressMinBytes) {
      headers["content-encoding"] = compression.name;
      body = await compression.compress(message);
    }
    headers["content-length"] = body.length;
    if (response.destroyed) return;
    // The two kinds of response take the same arguments, but TypeScript cannot call a union of overloads.
    if ("stream" in response) response.writeHead(status, headers).end(body);
    else response.writeHead(status, headers).end(body);
    // The message of a call that was not let in is thrown away; left unread, it would hold up its connection.
    if (!request.readableEnded) request.resume();
  }
}

function isPlain({ method, headers }: HttpRequest): boolean {
  const encoding = headers["content-encoding"];
  const timeout = headers["connect-timeout-ms"];
  return (
    method === "POST" &&
    (encoding === undefined || encoding === "identity") &&
    (timeout === undefined || (typeof timeout === "string" && /^\d{1,10}$/.test(timeout)))
  );
}
