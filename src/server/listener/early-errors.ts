import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { SessiondError } from "../../domain/errors.ts";
import { statusJson } from "../../rest/errors/status-json.ts";
import { fromSessiondError } from "../../rpc/connect-errors.ts";
import { type HttpRequest, type HttpResponse, pathOf } from "../../transport/http-message.ts";
import type { Protocol } from "./protocol-sniffer.ts";

/** Path of a method of RPC. */
const rpcPath = /^\/\w+(\.\w+)+\/\w+$/;

/**
 * Answers a request that is refused before it reaches a protocol implementation: gRPC and gRPC-Web with trailers only, Connect
 * with its JSON, everything else with the JSON of google.rpc.Status. Headers that a failed handler had prepared are removed, except the request id.
 * An HTTP/1 connection is closed, because the end of the refused request's body is not known for certain.
 */
export function sendEarlyError(req: HttpRequest, res: HttpResponse, error: SessiondError): void {
  const shown = fromSessiondError(error);
  for (const name of res.getHeaderNames()) if (name !== "x-request-id") res.removeHeader(name);
  if (!res.hasHeader("x-request-id")) res.setHeader("x-request-id", randomUUID());
  if (req.httpVersionMajor === 1) res.setHeader("connection", "close");
  const contentType = req.headers["content-type"] ?? "";
  if (!/^application\/grpc(-web(-text)?)?($|[+;])/i.test(contentType)) {
    const isRpc = rpcPath.test(pathOf(req.url ?? ""));
    const body = Buffer.from(isRpc ? errorToJsonBytes(shown, undefined) : JSON.stringify(statusJson(shown)));
    res.statusCode = codeToHttpStatus(shown.code);
    res.setHeader("content-type", "application/json");
    // TypeScript cannot call a union of overloads.
    if ("stream" in res) res.end(body);
    else res.end(body);
    return;
  }
  const status = new Headers();
  setTrailerStatus(status, shown);
  // The texts of early errors are printable ASCII without "%": they need none of Connect's escapes.
  status.set("grpc-message", shown.rawMessage);
  res.statusCode = 200;
  res.setHeader("content-type", contentType);
  for (const [name, value] of status) res.setHeader(name, value);
  if (req.headers[":method"] === undefined) res.setHeader("content-length", "0");
  // Without a body Node sets END_STREAM on the headers: an empty DATA frame after them would not be a trailers-only answer.
  res.end();
}

/**
 * Answers bytes that are not an HTTP/1 request, or a request that was not complete in time, and closes the connection. Unlike
 * Node's own answer, it says what is wrong and has a request id. In the middle of another answer it sends nothing.
 */
export function refuseUnparsed(error: Error, socket: Socket, isAnswering: boolean): void {
  if (!socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const { status, message } = parseFailureOf("code" in error ? error.code : undefined);
  answerRaw(socket, status, message);
}

/** Closes an unencrypted connection on a port that requires TLS. A client of HTTP/1 is told why. */
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

function parseFailureOf(code: unknown): { status: number; message: string } {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, message: "the headers of the request are too large" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, message: "the chunk extensions of the request are too large" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, message: "the request was not complete in time" };
    default:
      return { status: 400, message: "this is not an HTTP/1.1 request" };
  }
}
