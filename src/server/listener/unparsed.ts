import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Protocol } from "./protocol-sniffer.ts";

/**
 * Answers bytes that are no HTTP/1 request, or none in time, and closes the connection. Node would answer with a bare
 * status; this says what is wrong and has a request id like every other answer. Nothing is said in the middle of one.
 */
export function refuseUnparsed(error: Error, socket: Socket, isAnswering: boolean): void {
  if (!socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const { status, message } = complaintOf("code" in error ? error.code : undefined);
  answerUnparsed(socket, status, message);
}

/** Closes a connection that does not encrypt, on a port where all must. One that could read it is told so. */
export function refusePlaintext(socket: Socket, protocol: Protocol): void {
  if (protocol === "h2") socket.destroy();
  else answerUnparsed(socket, 400, "this port speaks TLS: use https");
}

function answerUnparsed(socket: Socket, status: number, message: string): void {
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

function complaintOf(code: unknown): { status: number; message: string } {
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
