import { validateHeaderValue } from "node:http";
import type { NodeRequest, Outgoing } from "./exchange.ts";

/** How much of a body nobody wanted is still taken off the wire, so that the client gets to read the answer. */
const drainMaxBytes = 16 * 1024 * 1024;
const drainMaxMs = 5000;

/** The content of an answer: text, to be sent as UTF-8, or bytes. */
export type Content = string | Uint8Array;

/** What comes before the content of an answer. */
export interface Head {
  readonly status: number;
  readonly headers: Headers;
  /** Wins over `headers`. */
  readonly contentType: string | undefined;
}

/**
 * Sends a whole answer. Without content it has no body; 204 and 304 never have one. Headers set before survive.
 *
 * An HTTP/1.1 server that closes while the client still sends resets the connection, and the client may never see the
 * answer. So the answer goes out at once, but ends only when the body has been read and thrown away, within limits;
 * only then there is something to wait for.
 */
export function send(
  request: NodeRequest,
  response: Outgoing,
  head: Head,
  content: Content | undefined,
): Promise<void> | undefined {
  sendHead(response, head);
  const body = head.status === 204 || head.status === 304 ? undefined : wireForm(content ?? "");
  if (body !== undefined) response.setHeader("content-length", String(body.length));
  if (request.httpVersionMajor === 1 && hasUnreadBody(request)) {
    return sendWhileDraining(request, response, body);
  }
  if (body === undefined) {
    response.end();
  } else if (typeof body === "string") {
    response.end(body, "latin1");
  } else {
    response.end(body);
  }
  if (!request.readableEnded) {
    // An HTTP/2 stream that is left half read would stay open.
    request.resume();
  }
  return undefined;
}

/** Sets status and headers; Node sends them with the first byte of the body. Throws for values that no header can have. */
export function sendHead(response: Outgoing, { status, headers, contentType }: Head): void {
  for (const [name, value] of headers) {
    if (name !== "set-cookie" && name !== "content-length") setHeader(response, name, value);
  }
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  if (contentType !== undefined) setHeader(response, "content-type", contentType);
  response.statusCode = status;
}

/** The content as bytes. */
export function bytesOf(content: Content): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : content;
}

function setHeader(response: Outgoing, name: string, value: string): void {
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
  request: NodeRequest,
  response: Outgoing,
  body: Content | undefined,
): Promise<void> {
  if (body !== undefined && body.length > 0) response.write(bytesOf(body));
  await drain(request);
  response.end();
}

function hasUnreadBody(request: NodeRequest): boolean {
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  return !request.complete && !request.destroyed && (encoding !== undefined || length !== "0");
}

function drain(request: NodeRequest): Promise<void> {
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
