import { once } from "node:events";
import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from "node:http2";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import type { Target } from "./target.ts";

/** How a message may travel. */
export const carriers = ["grpc", "grpc-web", "connect"] as const;
/** One of {@link carriers}. */
export type Carrier = (typeof carriers)[number];

/** A call whose every byte the test chooses. */
export interface RawCall {
  /** `package.Service/Method`. */
  readonly method: string;
  /** The message, or with `framed` the whole body. */
  readonly message: Uint8Array;
  readonly format?: "proto" | "json";
  readonly headers?: Record<string, string>;
  /** The message is compressed with this. */
  readonly encoding?: string;
  /** The body has its frames already. */
  readonly framed?: boolean;
}

/** The outcome of a {@link RawCall}. */
export interface RawAnswer {
  readonly httpStatus: number;
  /** The code; undefined for success. */
  readonly code: Code | undefined;
  readonly requestId: string;
  /** All of it, as text. */
  readonly said: string;
  /** The message of a success, without its frame. */
  readonly message: Uint8Array;
}

/** Sends a call; an answer that is none of its protocol fails the test by its code. */
export async function rawCall(target: Target, carrier: Carrier, call: RawCall): Promise<RawAnswer> {
  const answer = await senders[carrier](target, call);
  target.answers.push(answer.code === undefined ? "" : answer.said);
  return answer;
}

const senders = { grpc: sendGrpc, "grpc-web": sendGrpcWeb, connect: sendConnect };

const sessions = new WeakMap<Target, ClientHttp2Session>();

/** The one HTTP/2 connection of the tests of a target. */
export function http2Of(target: Target): ClientHttp2Session {
  let session = sessions.get(target);
  if (session === undefined || session.destroyed || session.closed) {
    session = connect(target.url);
    session.on("error", () => {});
    session.unref();
    sessions.set(target, session);
  }
  return session;
}

async function sendGrpc(target: Target, call: RawCall): Promise<RawAnswer> {
  const stream = http2Of(target).request({
    ":method": "POST",
    ":path": `/${call.method}`,
    te: "trailers",
    "content-type": `application/grpc+${call.format ?? "proto"}`,
    ...(call.encoding && { "grpc-encoding": call.encoding }),
    authorization: target.home.basic,
    ...call.headers,
  });
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (received) => (headers = received));
  stream.on("trailers", (received) => (trailers = received));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, "end");
  stream.end(body(call));
  await ended;
  const status = trailers["grpc-status"] ?? headers["grpc-status"];
  return {
    httpStatus: Number(headers[":status"]),
    code: grpcCode(status),
    requestId: String(headers["x-request-id"] ?? ""),
    said: decodeURIComponent(JSON.stringify([headers, trailers])) + Buffer.concat(chunks).toString("latin1"),
    message: Buffer.concat(chunks).subarray(5),
  };
}

async function sendGrpcWeb(target: Target, call: RawCall): Promise<RawAnswer> {
  const response = await post(target, call, {
    "content-type": `application/grpc-web+${call.format ?? "proto"}`,
    ...(call.encoding && { "grpc-encoding": call.encoding }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString("latin1");
  const status = response.headers.get("grpc-status") ?? /grpc-status: *(\d+)/.exec(text)?.[1];
  return {
    httpStatus: response.status,
    code: grpcCode(status),
    requestId: response.headers.get("x-request-id") ?? "",
    said: decodeURIComponent([...response.headers].join("\n")) + text,
    message: bytes.subarray(5, 5 + (bytes.length >= 5 ? bytes.readUInt32BE(1) : 0)),
  };
}

async function sendConnect(target: Target, call: RawCall): Promise<RawAnswer> {
  const response = await post(target, call, {
    "content-type": `application/${call.format ?? "proto"}`,
    ...(call.encoding && { "content-encoding": call.encoding }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isError = response.status !== 200;
  return {
    httpStatus: response.status,
    code: isError ? connectCode(bytes.toString()) : undefined,
    requestId: response.headers.get("x-request-id") ?? "",
    said: [...response.headers].join("\n") + bytes.toString("latin1"),
    message: bytes,
  };
}

function post(target: Target, call: RawCall, headers: Record<string, string>): Promise<Response> {
  return fetch(`${target.url}/${call.method}`, {
    method: "POST",
    headers: { authorization: target.home.basic, ...headers, ...call.headers },
    body: body(call, headers["content-type"]?.includes("grpc") === true),
  });
}

function body({ message, framed = false, encoding }: RawCall, envelope = true): Buffer<ArrayBuffer> {
  if (framed || !envelope) return Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt8(encoding === undefined ? 0 : 1);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function grpcCode(status: unknown): Code | undefined {
  if (status === undefined || status === null) return Code.Unknown;
  return status === "0" ? undefined : Number(status);
}

function connectCode(text: string): Code {
  try {
    return codeFromString(JSON.parse(text).code) ?? Code.Unknown;
  } catch {
    return Code.Unknown;
  }
}
