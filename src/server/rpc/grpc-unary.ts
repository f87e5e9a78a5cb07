import {
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  constants,
} from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Compression, compressedFlag } from "@connectrpc/connect/protocol";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { CallRecord } from "../../rpc/call-record.ts";
import type { RequestGate } from "../../rpc/gate.ts";
import { type CallLog, contextValuesOf } from "../observability/call-log.ts";
import { readableGrpcMessage } from "./grpc-message.ts";
import type { FailureReporter } from "../listener/guard.ts";
import { addHeaders, singleHeader } from "./node-headers.ts";
import { grpcTimeoutMs, isGrpcTimeout } from "./protocol-headers.ts";
import type { RequestBytes } from "./request-bytes.ts";
import { AcceptedCompression, compressMinBytes } from "./response-compression.ts";
import { isUsableHost } from "./safe-host.ts";
import { UnaryCall } from "./unary-call.ts";
import { type UnaryExchange, runUnary } from "./unary-exchange.ts";
import type { UnaryMethod } from "./unary-method.ts";

/** What unary gRPC calls are served with. */
export interface GrpcUnaryOptions {
  /** By path. */
  readonly methods: ReadonlyMap<string, UnaryMethod>;
  readonly gate: RequestGate;
  readonly calls: CallLog;
  readonly readMaxBytes: number;
  readonly maxTimeoutMs: number;
  /** Serves a request of whose body this much has been read already. */
  readonly replay: (request: TakenRequest, received: RequestBytes) => Promise<void>;
  readonly onError: FailureReporter;
}

/** A request on an HTTP/2 stream that was taken from the HTTP server. */
export interface TakenRequest {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly record: CallRecord;
}

/** Flags and length, which come before a message. */
const prefixLength = 5;

/**
 * Serves plain unary gRPC calls right on their HTTP/2 streams. Whatever is unusual (compressed requests, JSON, odd headers)
 * is left to Connect's handlers.
 */
export class GrpcUnary {
  readonly #options: GrpcUnaryOptions;
  readonly #compression = new AcceptedCompression("grpc-accept-encoding");
  readonly #onStreamError: (error: Error) => void;

  constructor(options: GrpcUnaryOptions) {
    this.#options = options;
    this.#onStreamError = (error) => options.onError(error, "response");
  }

  /** Serves a request that is plain enough; false where it is not. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): boolean {
    const { methods, calls, gate, readMaxBytes, replay, onError } = this.#options;
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    if (method === undefined || stream.endAfterHeaders || !isPlain(headers, rawHeaders)) return false;
    const record = calls.begin(headers, stream.session);
    const request = { stream, headers, rawHeaders, record };
    const call = this.#open(method, path, request);
    const compression = this.#compression.of(singleHeader(headers["grpc-accept-encoding"]));
    const exchange = new GrpcExchange({ request, method, call, compression, readMaxBytes, replay });
    stream.on("error", this.#onStreamError);
    stream.on("close", () => {
      if (!stream.headersSent) call.abort(new ConnectError("the client went away", Code.Canceled));
      calls.end(record, { method: "POST", url: path }, 200);
      letGo(stream);
    });
    runUnary(method, gate, exchange).catch((error: unknown) => {
      onError(error, "handler");
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    return true;
  }

  #open({ method }: UnaryMethod, path: string, { headers, record }: TakenRequest): UnaryCall {
    const timeout = singleHeader(headers["grpc-timeout"]);
    return new UnaryCall({
      method,
      protocolName: "grpc",
      origin: `${record.peer.secure ? "https" : "http"}://${headers[":authority"]}`,
      path,
      headers,
      values: contextValuesOf(record),
      timeout:
        timeout === undefined ? undefined : Math.min(grpcTimeoutMs(timeout), this.#options.maxTimeoutMs),
    });
  }
}

interface GrpcExchangeInit {
  readonly request: TakenRequest;
  readonly method: UnaryMethod;
  readonly call: UnaryCall;
  /** What is announced, whether the message turns out to be worth it or not. */
  readonly compression: Compression | null;
  readonly readMaxBytes: number;
  readonly replay: GrpcUnaryOptions["replay"];
}

class GrpcExchange implements UnaryExchange {
  readonly call: UnaryCall;
  readonly body: ServerHttp2Stream;
  readonly maxBodyBytes: number;
  readonly #init: GrpcExchangeInit;

  constructor(init: GrpcExchangeInit) {
    this.call = init.call;
    this.body = init.request.stream;
    this.maxBodyBytes = init.readMaxBytes + prefixLength;
    this.#init = init;
  }

  decode(body: Buffer): Message | undefined {
    const length = body.length - prefixLength;
    const isOne = length >= 0 && body[0] === 0 && body.readUInt32BE(1) === length;
    return isOne ? this.#init.method.decodeBinary(body.subarray(prefixLength)) : undefined;
  }

  replay(received: RequestBytes): Promise<void> {
    return this.#init.replay(this.#init.request, received);
  }

  encode(output: Message): Uint8Array {
    return this.#init.method.encodeBinary(output);
  }

  async succeed(message: Uint8Array): Promise<void> {
    const { compression } = this.#init;
    if (compression === null || message.length < compressMinBytes) this.#respond(envelope(0, message));
    else this.#respond(envelope(compressedFlag, await compression.compress(message)));
  }

  fail(error: ConnectError): void {
    this.#respond(undefined, error);
  }

  /** Sends headers, the message unless there is an error, and the status in the trailers. */
  #respond(message: Buffer | undefined, error?: ConnectError): void {
    const { call, body: stream } = this;
    const { compression, request } = this.#init;
    call.abort();
    if (stream.destroyed || stream.closed) return;
    const headers: OutgoingHttpHeaders = {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "x-request-id": request.record.id,
    };
    if (compression !== null) headers["grpc-encoding"] = compression.name;
    addHeaders(headers, call.setHeaders);
    stream.on("wantTrailers", () => stream.sendTrailers(trailersOf(call, error)));
    stream.respond(headers, { waitForTrailers: true });
    if (message === undefined) stream.end();
    else stream.end(message);
    // The message of a call that was not let in is thrown away; left unread, it would hold up its connection.
    stream.resume();
  }
}

const listenedFor = ["data", "end", "wantTrailers", "close"] as const;

/**
 * Node's streams outlive a young collection or two, as their native halves have to be told. What listens to them must not: it
 * holds all of the call, and would be copied each time.
 */
function letGo(stream: ServerHttp2Stream): void {
  for (const event of listenedFor) stream.removeAllListeners(event);
}

/** Whether nothing about the headers needs more than this path knows. */
function isPlain(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): boolean {
  const type = headers["content-type"];
  const encoding = headers["grpc-encoding"];
  const timeout = headers["grpc-timeout"];
  return (
    headers[":method"] === "POST" &&
    (type === "application/grpc" || type === "application/grpc+proto") &&
    (encoding === undefined || encoding === "identity") &&
    (timeout === undefined || isGrpcTimeout(timeout)) &&
    headers["expect"] === undefined &&
    headers["host"] === undefined &&
    isUsableHost(headers[":authority"]) &&
    countOf("authorization", rawHeaders) <= 1
  );
}

/** How often a header was sent: Node keeps the first of several without a word. HTTP/2 has names in lower case. */
function countOf(name: string, rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i] === name) count++;
  return count;
}

function envelope(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(prefixLength + message.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixLength);
  return bytes;
}

function trailersOf(call: UnaryCall, error: ConnectError | undefined): OutgoingHttpHeaders {
  if (error === undefined && call.setTrailers === undefined) return { "grpc-status": "0" };
  const set = new Headers(call.setTrailers);
  setTrailerStatus(set, error);
  const trailers: OutgoingHttpHeaders = {};
  addHeaders(trailers, set);
  return readableGrpcMessage(trailers);
}
