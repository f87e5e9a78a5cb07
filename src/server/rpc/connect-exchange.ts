import type { OutgoingHttpHeaders } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  codeToHttpStatus,
  contentTypeUnaryRegExp,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { type Compression, mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import type { Call } from "../../transport/call.ts";
import {
  type HttpRequest,
  type HttpResponse,
  endEmpty,
  sendResponse,
  splitTarget,
} from "../../transport/http-message.ts";
import type { UnaryExchange, UnaryHandler } from "../../transport/pipeline.ts";
import { base64 } from "../../rest/binding/scalars.ts";
import { readBody } from "../../transport/read-body.ts";
import { AcceptedCompression, compressMinBytes, compressionNamed } from "./compression.ts";
import { addHeaders } from "./headers.ts";
import {
  type RpcMethod,
  type RpcServing,
  malformedMessage,
  messageTooLarge,
  openCall,
} from "./rpc-method.ts";

type Format = "json" | "proto";

/** Serves unary Connect calls: POST, and GET for methods without side effects. */
export class ConnectUnary {
  readonly #serving: RpcServing;
  readonly #compression = new AcceptedCompression("accept-encoding");

  constructor(serving: RpcServing) {
    this.#serving = serving;
  }

  serve(
    method: RpcMethod,
    handle: UnaryHandler,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const query =
      request.method === "POST" ? undefined : new URLSearchParams(splitTarget(request.url ?? "").query);
    const format = query === undefined ? formatOf(request.headers["content-type"]) : formatIn(query);
    if (format === undefined) return endEmpty(request, response, 415);
    const serving = this.#serving;
    const call = openCall(serving, method, "connect", request, response);
    const compression = this.#compression.of(request.headers["accept-encoding"]);
    const init = { serving, request, response, query, method, handle, call, format, compression };
    return serving.pipeline.run(new ConnectExchange(init));
  }
}

interface ConnectExchangeInit {
  readonly serving: RpcServing;
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  /** Of a GET or HEAD. */
  readonly query: URLSearchParams | undefined;
  readonly method: RpcMethod;
  readonly handle: UnaryHandler;
  readonly call: Call;
  readonly format: Format;
  readonly compression: Compression | null;
}

class ConnectExchange implements UnaryExchange<Uint8Array> {
  readonly call: Call;
  readonly handle: UnaryHandler;
  readonly #init: ConnectExchangeInit;

  constructor(init: ConnectExchangeInit) {
    this.call = init.call;
    this.handle = init.handle;
    this.#init = init;
  }

  async receive(): Promise<Message | undefined> {
    const { format, method } = this.#init;
    const bytes = await this.#receiveBytes();
    if (bytes === undefined) return undefined;
    return format === "json" ? method.codec.decodeJson(bytes) : method.codec.decodeBinary(bytes);
  }

  async #receiveBytes(): Promise<Uint8Array | undefined> {
    const { request, query, serving } = this.#init;
    const { readMaxBytes } = serving.pipeline;
    const encoding = query?.get("compression") ?? request.headers["content-encoding"];
    const compression = compressionNamed(encoding, this.call, "accept-encoding");
    const body =
      query === undefined
        ? await readBody(request, readMaxBytes)
        : messageIn(query, splitTarget(request.url ?? "").query);
    if (body === "gone") return undefined;
    if (body === "too large") throw messageTooLarge(readMaxBytes);
    return compression === undefined ? body : decompress(compression, body, readMaxBytes);
  }

  encode(output: Message): Uint8Array {
    const { method, format } = this.#init;
    return format === "json" ? method.codec.encodeJson(output) : method.codec.encodeBinary(output);
  }

  succeed(message: Uint8Array): Promise<void> {
    return this.#respond(200, `application/${this.#init.format}`, message);
  }

  fail(failure: unknown): Promise<void> {
    const error = this.#init.serving.pipeline.outcomes.failed(failure, this.call.values);
    const { responseHeader } = this.call;
    mergeNonProtocolHeaders(responseHeader, error.metadata);
    if (error.code === Code.Unauthenticated && !responseHeader.has("www-authenticate")) {
      responseHeader.set("www-authenticate", "Bearer");
    }
    const body = errorToJsonBytes(error, undefined);
    return this.#respond(codeToHttpStatus(error.code), "application/json", body);
  }

  async #respond(status: number, contentType: string, message: Uint8Array): Promise<void> {
    const { call } = this;
    const { request, response, query, compression } = this.#init;
    call.abort();
    const headers: OutgoingHttpHeaders = {};
    addHeaders(headers, call.setHeaders);
    addHeaders(headers, call.setTrailers, "trailer-");
    headers["content-type"] = contentType;
    let body = message;
    // Only answers to GET are cached.
    if (query !== undefined) {
      const varying = [response.getHeader("vary"), headers["vary"], "accept-encoding"];
      headers["vary"] = varying.filter((value) => value !== undefined).join(", ");
    }
    if (compression !== null && message.length >= compressMinBytes) {
      headers["content-encoding"] = compression.name;
      body = await compression.compress(message);
    }
    headers["content-length"] = body.length;
    if (response.destroyed) return;
    sendResponse(response, status, headers, request.method === "HEAD" ? undefined : body);
    // Discards the message of a call that was not admitted; unread, it would block its connection.
    if (!request.readableEnded) request.resume();
  }
}

function formatOf(contentType: string | undefined): Format | undefined {
  if (contentType === "application/json") return "json";
  if (contentType === undefined || !contentTypeUnaryRegExp.test(contentType)) return undefined;
  return /json/i.test(contentType) ? "json" : "proto";
}

function formatIn(query: URLSearchParams): Format | undefined {
  const encoding = query.get("encoding");
  return encoding === "json" || encoding === "proto" ? encoding : undefined;
}

/** The message in a query, of which `raw` is the text. */
function messageIn(query: URLSearchParams, raw: string): Uint8Array {
  if (query.get("base64") !== "1") return percentBytes(raw);
  // An unescaped "+" of a query is a blank.
  const message = (query.get("message") ?? "").replaceAll(" ", "+");
  if (!base64.matches(message)) throw malformedMessage();
  return base64Decode(message);
}

/** The bytes of the parameter `message`. URLSearchParams replaces bytes that are not UTF-8, as a binary message has them. */
function percentBytes(raw: string): Uint8Array {
  const value = /(?:^|&)message=([^&]*)/.exec(raw)?.[1] ?? "";
  if (/%(?![\da-f]{2})/i.test(value)) throw malformedMessage();
  const unescape = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
  return Buffer.from(value.replaceAll("+", " ").replaceAll(/%([\da-f]{2})/gi, unescape), "latin1");
}

async function decompress(
  compression: Compression,
  bytes: Uint8Array,
  readMaxBytes: number,
): Promise<Uint8Array> {
  try {
    return await compression.decompress(bytes, readMaxBytes);
  } catch (error) {
    const isTooLarge = error instanceof ConnectError && error.code === Code.ResourceExhausted;
    throw isTooLarge ? messageTooLarge(readMaxBytes) : malformedMessage();
  }
}
