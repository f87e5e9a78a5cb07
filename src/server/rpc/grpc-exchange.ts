import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { type Compression, compressedFlag } from "@connectrpc/connect/protocol";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { malformedTimeout } from "../../rest/errors/failure.ts";
import type { CallRecord } from "../../rpc/call-record.ts";
import { Call, clientGone } from "../../transport/call.ts";
import { countHeader } from "../../transport/http-message.ts";
import { type UnaryExchange, type UnaryHandler, wrongMessageCount } from "../../transport/pipeline.ts";
import { readBody } from "../../transport/read-body.ts";
import type { FailureReporter } from "../listener/guard.ts";
import { contextValuesOf } from "../observability/call-log.ts";
import { AcceptedCompression, compressMinBytes } from "./compression.ts";
import { addHeaders, readableGrpcMessage } from "./headers.ts";
import { isAuthority } from "./header-checks.ts";
import { type RpcMethod, type RpcServing, malformedMessage, messageTooLarge } from "./rpc-method.ts";

/** Length of flags and message length, which precede a message. */
const prefixLength = 5;

/** Serves plain unary gRPC calls on their HTTP/2 streams. Connect's handlers serve compressed requests, JSON and unusual headers. */
export class GrpcUnary {
  readonly #serving: RpcServing;
  readonly #methods: ReadonlyMap<string, RpcMethod>;
  readonly #compression = new AcceptedCompression("grpc-accept-encoding");
  readonly #onError: FailureReporter;
  readonly #onStreamError: (error: Error) => void;

  constructor(serving: RpcServing, methods: ReadonlyMap<string, RpcMethod>, onError: FailureReporter) {
    this.#serving = serving;
    this.#methods = methods;
    this.#onError = onError;
    this.#onStreamError = (error) => onError(error, "response");
  }

  /** Serves a plain request; returns false for others. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): boolean {
    const serving = this.#serving;
    const { calls, pipeline } = serving;
    const path = headers[":path"] ?? "";
    const method = this.#methods.get(path);
    if (method?.handle === undefined || stream.endAfterHeaders || !this.#isPlain(headers, rawHeaders)) {
      return false;
    }
    const record = calls.begin(headers, stream.session);
    const call = new Call({
      method: method.spec.method,
      protocolName: "grpc",
      requestMethod: "POST",
      target: path,
      headers,
      values: contextValuesOf(record),
      maxTimeoutMs: pipeline.maxTimeoutMs,
      malformedTimeout,
    });
    const compression = this.#compression.of(headers["grpc-accept-encoding"]);
    const { handle } = method;
    const exchange = new GrpcExchange({ serving, stream, record, method, handle, call, compression });
    stream.on("error", this.#onStreamError);
    stream.on("close", () => {
      if (!stream.headersSent) call.abort(clientGone());
      calls.end(record, { method: "POST", url: path }, 200);
      removeCallListeners(stream);
    });
    pipeline.run(exchange).catch((error: unknown) => {
      this.#onError(error, "handler");
      stream.destroy(error instanceof Error ? error : undefined);
    });
    return true;
  }

  #isPlain(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): boolean {
    const type = headers["content-type"];
    const encoding = headers["grpc-encoding"];
    return (
      headers[":method"] === "POST" &&
      (type === "application/grpc" || type === "application/grpc+proto") &&
      (encoding === undefined || encoding === "identity") &&
      headers["expect"] === undefined &&
      headers["host"] === undefined &&
      isAuthority(headers[":authority"]) &&
      countHeader(rawHeaders, "authorization") <= 1
    );
  }
}

interface GrpcExchangeInit {
  readonly serving: RpcServing;
  readonly stream: ServerHttp2Stream;
  readonly record: CallRecord;
  readonly method: RpcMethod;
  readonly handle: UnaryHandler;
  readonly call: Call;
  /** Announced even if the message turns out to be too short for it. */
  readonly compression: Compression | null;
}

class GrpcExchange implements UnaryExchange<Uint8Array> {
  readonly call: Call;
  readonly handle: UnaryHandler;
  readonly #init: GrpcExchangeInit;

  constructor(init: GrpcExchangeInit) {
    this.call = init.call;
    this.handle = init.handle;
    this.#init = init;
  }

  async receive(): Promise<Message | undefined> {
    const { method, serving, stream } = this.#init;
    const { readMaxBytes } = serving.pipeline;
    const body = await readBody(stream, readMaxBytes + prefixLength);
    if (body === "gone") return undefined;
    if (body === "too large") throw messageTooLarge(readMaxBytes);
    return method.codec.decodeBinary(unframe(body, readMaxBytes));
  }

  encode(output: Message): Uint8Array {
    return this.#init.method.codec.encodeBinary(output);
  }

  async succeed(message: Uint8Array): Promise<void> {
    const { compression } = this.#init;
    if (compression === null || message.length < compressMinBytes) this.#respond(frame(0, message));
    else this.#respond(frame(compressedFlag, await compression.compress(message)));
  }

  fail(error: unknown): void {
    this.#respond(undefined, this.#init.serving.pipeline.outcomes.failed(error, this.call.values));
  }

  /** Sends headers, the message unless there is an error, and the status in the trailers. */
  #respond(message: Buffer | undefined, error?: ConnectError): void {
    const { call } = this;
    const { compression, record, stream } = this.#init;
    call.abort();
    if (stream.destroyed || stream.closed) return;
    const headers: OutgoingHttpHeaders = {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "x-request-id": record.id,
    };
    if (compression !== null) headers["grpc-encoding"] = compression.name;
    addHeaders(headers, call.setHeaders);
    stream.on("wantTrailers", () => stream.sendTrailers(trailersOf(call, error)));
    stream.respond(headers, { waitForTrailers: true });
    if (message === undefined) stream.end();
    else stream.end(message);
    // Discards the message of a call that was not admitted; unread, it would block its connection.
    stream.resume();
  }
}

const callEvents = ["data", "end", "wantTrailers", "close"] as const;

/**
 * Removes our listeners as soon as the stream closes. Node keeps stream objects alive across a young collection or two; the
 * closures would keep the whole call alive with them.
 */
function removeCallListeners(stream: ServerHttp2Stream): void {
  for (const event of callEvents) stream.removeAllListeners(event);
}

function unframe(body: Buffer, readMaxBytes: number): Uint8Array {
  if (body.length === 0) throw wrongMessageCount("no message");
  if (body.length < prefixLength) throw malformedMessage();
  const length = body.readUInt32BE(1);
  if (length > readMaxBytes) throw messageTooLarge(readMaxBytes);
  const end = prefixLength + length;
  if (body.length < end || ((body[0] ?? 0) & compressedFlag) !== 0) throw malformedMessage();
  const rest = body.subarray(end);
  if (rest.length === 0) return body.subarray(prefixLength);
  const isMessage = rest.length >= prefixLength && rest.length >= prefixLength + rest.readUInt32BE(1);
  throw isMessage ? wrongMessageCount("more than one message") : malformedMessage();
}

function frame(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(prefixLength + message.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixLength);
  return bytes;
}

function trailersOf(call: Call, error: ConnectError | undefined): OutgoingHttpHeaders {
  if (error === undefined && call.setTrailers === undefined) return { "grpc-status": "0" };
  const set = new Headers(call.setTrailers);
  setTrailerStatus(set, error);
  const trailers: OutgoingHttpHeaders = {};
  addHeaders(trailers, set);
  return readableGrpcMessage(trailers);
}
