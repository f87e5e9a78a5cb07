import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { SessiondError } from "../../domain/errors.ts";
import { statusJson } from "../../rest/errors/status-json.ts";
import { fromSessiondError } from "../../rpc/connect-errors.ts";
import { type HttpRequest, type HttpResponse, endResponse, pathOf } from "../../transport/http-message.ts";
import type { Protocol } from "./protocol-sniffer.ts";

const kept = /^(x-request-id|vary|access-control-.*)$/;
const rpcPath = /^\/\w+(\.\w+)+\/\w+$/;

/**
 * Answers a request that is refused before it reaches a protocol implementation: gRPC and gRPC-Web with trailers only, Connect
 * with its JSON, everything else with the JSON of google.rpc.Status. Removes headers that a failed handler had set, except the
 * request id and those that let a page read the answer (CORS). Closes an HTTP/1 connection, because it is uncertain where the body of the refused request ends.
 */
export function sendEarlyError(req: HttpRequest, res: HttpResponse, error: SessiondError): void {
  const shown = fromSessiondError(error);
  for (const name of res.getHeaderNames()) if (!kept.test(name)) res.removeHeader(name);
  if (!res.hasHeader("x-request-id")) res.setHeader("x-request-id", randomUUID());
  if (req.httpVersionMajor === 1) res.setHeader("connection", "close");
  if (!isGrpc(req)) {
    const isRpc = rpcPath.test(pathOf(req.url ?? ""));
    res.statusCode = codeToHttpStatus(shown.code);
    res.setHeader("content-type", "application/json");
    endResponse(res, isRpc ? errorToJsonBytes(shown, undefined) : JSON.stringify(statusJson(shown)));
    return;
  }
  const status = new Headers();
  setTrailerStatus(status, shown);
  // The texts of early errors are printable ASCII without "%": they need none of Connect's escapes.
  status.set("grpc-message", shown.rawMessage);
  res.statusCode = 200;
  res.setHeader("content-type", req.headers["content-type"] ?? "");
  for (const [name, value] of status) res.setHeader(name, value);
  if (req.headers[":method"] === undefined) res.setHeader("content-length", "0");
  // Without a body Node sets END_STREAM on the headers: an empty DATA frame after them would not be a trailers-only answer.
  res.end();
}

export function isGrpc({ headers }: HttpRequest): boolean {
  return /^application\/grpc(-web(-text)?)?($|[+;])/i.test(headers["content-type"] ?? "");
}

/**
 * Answers bytes that are not an HTTP/1 request, or a request that was not complete in time, and closes the connection. Unlike
 * Node's own answer, this one has a message and a request id. Sends nothing in the middle of another answer.
 */
export function refuseUnparsed(error: Error, socket: Socket, isAnswering: boolean): void {
  if (!socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const [status, message] = parseFailures["code" in error ? String(error.code) : ""] ?? notHttp;
  answerRaw(socket, status, message);
}

const notHttp = [400, "this is not an HTTP/1.1 request"] as const;

/** Status and message by code of Node's error. */
const parseFailures: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "the headers of the request are too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "the chunk extensions of the request are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request was not complete in time"],
};

/** Closes an unencrypted connection on a port that requires TLS. An HTTP/1 client gets the reason. */
export function refusePlaintext(socket: Socket, protocol: Protocol): void {
  if (protocol === "h2") socket.destroy();
  else answerRaw(socket, 400, "this port speaks TLS: use https");
}

function answerRaw(socket: Socket, status: number, message: string): void {
  const body = JSON.stringify({ code: "invalid_argument", message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${body.length}`,
    `x-request-id: ${randomUUID()}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  socket.destroySoon();
}
