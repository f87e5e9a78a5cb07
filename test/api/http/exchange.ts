import { type IncomingHttpHeaders, request as http1Request } from "node:http";
import { connect } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { type HttpAnswer, http1Answer, http2Answer } from "../../support/fixtures/http-answer.ts";

/** The ways to call a method. gRPC runs over HTTP/2, the others over HTTP/1.1. */
export const protocols = ["gRPC", "gRPC-Web", "Connect", "Connect GET", "REST"] as const;
export type Protocol = (typeof protocols)[number];

/** A request as it is written to the connection. */
export interface Sent {
  readonly verb: string;
  readonly target: string;
  /** A header with several values is sent as often. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: Uint8Array | string | undefined;
  /** Host or `:authority`; null for none. */
  readonly host?: string | null;
}

/** Headers that a verdict includes. */
export const verdictHeaders = [
  "allow",
  "vary",
  "www-authenticate",
  "cache-control",
  "x-accel-buffering",
  "accept-encoding",
  "grpc-accept-encoding",
  "content-encoding",
] as const;

/** Outcome of a request. */
export interface Verdict {
  readonly status: number;
  /** Name of the code; undefined if the body is not an error of the protocol. */
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly domain: string | undefined;
  /** The reason as a header or trailer of its own. */
  readonly plainReason: string | undefined;
  readonly headers: Readonly<Partial<Record<(typeof verdictHeaders)[number], string>>>;
}

/** Sends a request and reads the outcome. Of a stream it reads the headers only. */
export async function verdictOf(port: number, protocol: Protocol, sent: Sent): Promise<Verdict> {
  const received = await (protocol === "gRPC" ? overHttp2 : overHttp1)(port, sent);
  const { status, headers } = received;
  const shown = verdictHeaders.filter((name) => headers[name] !== undefined);
  return {
    status,
    ...outcomeOf(protocol, received),
    plainReason: plainReasonOf(protocol, received),
    headers: Object.fromEntries(shown.map((name) => [name, String(headers[name])])),
  };
}

function plainReasonOf(protocol: Protocol, { headers, trailers, body }: HttpAnswer): string | undefined {
  const name = "sessiond-error-reason";
  const value =
    headers[name] ?? trailers[name] ?? (protocol === "gRPC-Web" ? webTrailers(body)[name] : undefined);
  return value === undefined ? undefined : String(value);
}

/** Sends a request over HTTP/1.1. */
export async function overHttp1(port: number, sent: Sent): Promise<HttpAnswer> {
  const { verb, target, body, host = `127.0.0.1:${port}` } = sent;
  const request = http1Request({
    port,
    host: "127.0.0.1",
    agent: false,
    method: verb,
    path: target,
    setHost: false,
    headers: { ...(host !== null && { host }), ...lengthOf(sent), ...sent.headers },
  });
  request.end(body);
  const answer = await http1Answer(request, isStream);
  request.destroy();
  return answer;
}

function lengthOf({ verb, body }: Sent): Record<string, string> {
  return verb === "GET" || verb === "HEAD" ? {} : { "content-length": String(Buffer.byteLength(body ?? "")) };
}

/** Sends a request over HTTP/2. */
export async function overHttp2(port: number, sent: Sent): Promise<HttpAnswer> {
  const { verb, target, headers, body, host } = sent;
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({
      ":method": verb,
      ":path": target,
      ...(typeof host === "string" && { ":authority": host }),
      te: "trailers",
      ...headers,
    });
    stream.end(body);
    return await http2Answer(stream, isStream);
  } finally {
    session.destroy();
  }
}

function isStream(headers: IncomingHttpHeaders): boolean {
  return headers["x-accel-buffering"] !== undefined;
}

type Outcome = Pick<Verdict, "code" | "reason" | "domain">;

function outcomeOf(protocol: Protocol, received: HttpAnswer): Outcome {
  if (isStream(received.headers)) return outcome(0);
  if (protocol === "gRPC") return grpcOutcome({ ...received.headers, ...received.trailers });
  if (protocol === "gRPC-Web") return grpcOutcome({ ...received.headers, ...webTrailers(received.body) });
  if (received.status === 200) return outcome(0);
  const { code, details = [] } = jsonOf(received.body);
  return protocol === "REST"
    ? outcome(
        code,
        details.find((detail) => detail["@type"]?.endsWith("ErrorInfo")),
      )
    : outcome(
        typeof code === "string" ? codeFromString(code) : undefined,
        details
          .filter((detail) => detail["type"] === ErrorInfoSchema.typeName)
          .map(({ value = "" }) => fromBinary(ErrorInfoSchema, Buffer.from(value, "base64")))[0],
      );
}

function outcome(code: unknown, info?: { readonly reason?: string; readonly domain?: string }): Outcome {
  const name = code === 0 ? "Ok" : typeof code === "number" ? Code[code] : undefined;
  return { code: name, reason: info?.reason, domain: info?.domain };
}

function grpcOutcome(trailers: Readonly<Record<string, unknown>>): Outcome {
  const { "grpc-status": status, "grpc-status-details-bin": details } = trailers;
  if (typeof status !== "string") return outcome(undefined);
  if (typeof details !== "string") return outcome(Number(status));
  const { details: unpacked } = fromBinary(StatusSchema, Buffer.from(details, "base64"));
  return outcome(
    Number(status),
    unpacked.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((info) => info !== undefined),
  );
}

/** Trailers of gRPC-Web: a frame with the flag 0x80 that holds lines of headers. */
function webTrailers(body: Buffer): Record<string, string> {
  for (let at = 0; at + 5 <= body.length; at += 5 + body.readUInt32BE(at + 1)) {
    if (((body[at] ?? 0) & 0x80) === 0) continue;
    const lines = body
      .subarray(at + 5)
      .toString("latin1")
      .trim()
      .split("\r\n");
    return Object.fromEntries(lines.map((line) => line.split(/: ?(.*)/, 2)));
  }
  return {};
}

interface JsonError {
  readonly code?: unknown;
  readonly details?: readonly Record<string, string>[];
}

function jsonOf(body: Buffer): JsonError {
  try {
    return JSON.parse(body.toString()) as JsonError;
  } catch {
    return {};
  }
}
