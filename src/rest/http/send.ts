import { type ServerResponse, validateHeaderValue } from "node:http";
import { type HttpRequest, type HttpResponse, endResponse } from "../../transport/http-message.ts";

/** How much of a body that is not wanted is still read and discarded, so that the client gets to read the answer. */
const drainMaxBytes = 16 * 1024 * 1024;
const drainMaxMs = 5000;

/** Content of an answer: text, sent as UTF-8, or bytes. */
export type Content = string | Uint8Array;

/** What comes before the content of an answer. */
export interface Head {
  readonly status: number;
  readonly headers: Headers | undefined;
  /** Wins over `headers`. */
  readonly contentType: string | undefined;
}

/**
 * Sends a whole answer; without content it has no body. Headers that were set before remain.
 *
 * An HTTP/1.1 server that closes while the client still sends resets the connection, and the client may never see the answer.
 * So the answer is sent at once, but ends only when the body has been read and discarded, within limits.
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

/** Sets status and headers; Node sends them with the first byte of the body. Throws for values that no header can have. */
export function sendHead(response: HttpResponse, { status, headers, contentType }: Head): void {
  headers?.forEach((value, name) => {
    if (name !== "set-cookie" && name !== "content-length") setHeader(response, name, value);
  });
  const cookies = headers?.getSetCookie() ?? [];
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  if (contentType !== undefined) setHeader(response, "content-type", contentType);
  response.statusCode = status;
}

/** The content as bytes. */
export function bytesOf(content: Content): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : content;
}

/** Writes a chunk and waits until there is room for more, or the client is gone. */
export function writeChunk(response: HttpResponse, chunk: Uint8Array, isGone: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (isGone || (response as ServerResponse).write(chunk)) {
      resolve();
      return;
    }
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

/** Text that is the same in ASCII stays text: Node sends it in one piece with the head, which costs less than two. */
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
    const timer = setTimeout(() => done(), drainMaxMs);
    const done = (): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", done).off("error", done).off("close", done);
      resolve();
    };
    request.on("data", onData).on("end", done).on("error", done).on("close", done);
  });
}
