import { once } from "node:events";
import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from "node:http2";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import type { Target } from "./target.ts";

export const protocols = ["grpc", "grpc-web", "connect"] as const;
type Protocol = (typeof protocols)[number];

export interface RawCall {
  readonly method: string;
  readonly message: Uint8Array;
  readonly format?: "proto" | "json";
  readonly headers?: Record<string, string>;
  readonly encoding?: string;
  /** Whether the message is the whole body, envelopes included. */
  readonly framed?: boolean;
}

interface RawAnswer {
  readonly httpStatus: number;
  /** Undefined for success; UNKNOWN if the answer is not one of the protocol. */
  readonly code: Code | undefined;
  readonly requestId: string;
  /** Headers, trailers and body as text. */
  readonly text: string;
}

/** Makes a call: gRPC over HTTP/2, the others over HTTP/1.1. */
export async function rawCall(target: Target, protocol: Protocol, call: RawCall): Promise<RawAnswer> {
  const { method, message, format = "proto", encoding, framed = false } = call;
  const type = { grpc: "grpc+", "grpc-web": "grpc-web+", connect: "" }[protocol];
  const headers = {
    "content-type": `application/${type}${format}`,
    ...(encoding !== undefined && {
      [protocol === "connect" ? "content-encoding" : "grpc-encoding"]: encoding,
    }),
    authorization: target.home.basic,
    ...call.headers,
  };
  const isWhole = framed || protocol === "connect";
  const body = Buffer.from(isWhole ? message : envelope(message, encoding === undefined ? 0 : 1));
  const send = protocol === "grpc" ? overHttp2 : overHttp1;
  const { status, heads, bytes } = await send(target, `/${method}`, headers, body);
  const text = decodeURIComponent(JSON.stringify(heads)) + bytes.toString("latin1");
  const code =
    protocol === "connect" ? connectCode(status, bytes.toString()) : grpcCode(heads, protocol, text);
  target.answers.push(code === undefined ? "" : text);
  return { httpStatus: status, code, requestId: String(heads["x-request-id"] ?? ""), text };
}

interface Received {
  readonly status: number;
  readonly heads: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

const sessions = new WeakMap<Target, ClientHttp2Session>();

function sessionOf(target: Target): ClientHttp2Session {
  let session = sessions.get(target);
  if (session === undefined || session.destroyed || session.closed) {
    session = connect(target.url);
    session.on("error", () => {});
    session.unref();
    sessions.set(target, session);
  }
  return session;
}

async function overHttp2(
  target: Target,
  path: string,
  headers: Record<string, string>,
  body: Buffer<ArrayBuffer>,
): Promise<Received> {
  const stream = sessionOf(target).request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
  const heads: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (received) => Object.assign(heads, received));
  stream.on("trailers", (received) => Object.assign(heads, received));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, "end");
  stream.end(body);
  await ended;
  return { status: Number(heads[":status"]), heads, bytes: Buffer.concat(chunks) };
}

async function overHttp1(
  { url }: Target,
  path: string,
  headers: Record<string, string>,
  body: Buffer<ArrayBuffer>,
): Promise<Received> {
  const response = await fetch(url + path, { method: "POST", headers, body });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, heads: Object.fromEntries(response.headers), bytes };
}

function grpcCode(heads: IncomingHttpHeaders, protocol: Protocol, text: string): Code | undefined {
  const inBody = protocol === "grpc-web" ? /grpc-status: *(\d+)/.exec(text)?.[1] : undefined;
  const status = heads["grpc-status"] ?? inBody ?? Code.Unknown;
  return status === "0" ? undefined : Number(status);
}

function connectCode(status: number, text: string): Code | undefined {
  if (status === 200) return undefined;
  try {
    return codeFromString(JSON.parse(text).code) ?? Code.Unknown;
  } catch {
    return Code.Unknown;
  }
}
