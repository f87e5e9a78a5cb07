import { type ServerResponse, validateHeaderValue } from "node:http";
import { type HttpRequest, type HttpResponse, endResponse } from "../../transport/http-message.ts";

/** Limits of discarding an unread body, see {@link send}. */
const drainMaxBytes = 16 * 1024 * 1024;
const drainMaxMs = 5000;

/** Content of an answer: text, sent as UTF-8, or bytes. */
export type Content = string | Uint8Array;

export interface Head {
  readonly status: number;
  readonly headers: Headers | undefined;
  /** Wins over `headers`. */
  readonly contentType: string | undefined;
}

/**
 * Sends a whole answer. Headers that were set before remain.
 *
 * An HTTP/1 server that closes while the client still sends resets the connection, and the client may not see the answer. So the
 * answer is sent at once, but ends only when the body has been discarded, within limits.
 */
export function send(
  request: HttpRequest,
  response: HttpResponse,
  head: Head,
  content: Content | undefined,
): Promise<void> | undefined {
  sendHead(response, head);
  let body = head.status === 204 || head.status === 304 ? undefined : wireForm(content ?? "");
  if (body !== undefined) response.setHeader("content-length", String(body.length));
  if (request.method === "HEAD") body = undefined;
  if (request.httpVersionMajor === 1 && hasUnreadBody(request)) {
    return sendWhileDraining(request, response, body);
  }
  if (typeof body === "string") (response as ServerResponse).end(body, "latin1");
  else endResponse(response, body);
  // An HTTP/2 stream that is left half read would stay open.
  if (!request.readableEnded) request.resume();
  return undefined;
}

/** Sets status and headers, which Node sends with the first byte of the body. Throws for an invalid header. */
export function sendHead(response: HttpResponse, { status, headers, contentType }: Head): void {
  headers?.forEach((value, name) => {
    if (name !== "set-cookie" && name !== "content-length") setHeader(response, name, value);
  });
  const cookies = headers?.getSetCookie() ?? [];
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  if (contentType !== undefined) setHeader(response, "content-type", contentType);
  response.statusCode = status;
}

export function bytesOf(content: Content): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : content;
}

/** Writes a chunk and waits until there is room for more, or the client is gone. */
export function writeChunk(response: HttpResponse, chunk: Uint8Array, isGone: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (isGone || (response as ServerResponse).write(chunk)) return resolve();
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function setHeader(response: HttpResponse, name: string, value: string): void {
  // HTTP/2 would send control characters that HTTP/1.1 refuses.
  validateHeaderValue(name, value);
  response.setHeader(name, value);
}

/** ASCII text stays text, because Node sends it in one piece with the head. */
function wireForm(content: Content): Content {
  return typeof content === "string" && Buffer.byteLength(content) !== content.length
    ? Buffer.from(content)
    : content;
}

async function sendWhileDraining(
  request: HttpRequest,
  response: HttpResponse,
  body: Content | undefined,
): Promise<void> {
  if (body !== undefined && body.length > 0) (response as ServerResponse).write(bytesOf(body));
  await drain(request);
  endResponse(response);
}

function hasUnreadBody(request: HttpRequest): boolean {
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  return !request.complete && !request.destroyed && (encoding !== undefined || length !== "0");
}

function drain(request: HttpRequest): Promise<void> {
  return new Promise((resolve) => {
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > drainMaxBytes) done();
    };
    const done = (): void => {
      clearTimeout(timer);
      request.off("data", onData);
      resolve();
    };
    const timer = setTimeout(done, drainMaxMs);
    request.on("data", onData).once("end", done).once("error", done).once("close", done);
  });
}
