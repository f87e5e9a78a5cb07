import { validateHeaderValue } from "node:http";
import type { NodeRequest, Outgoing } from "./exchange.ts";

/** How much of a body nobody wanted is still taken off the wire, so that the client gets to read the answer. */
const drainMaxBytes = 16 * 1024 * 1024;
const drainMaxMs = 5000;

/**
 * Sends a whole answer. Without bytes it has no body; 204 and 304 never have one. Headers set before survive.
 *
 * An HTTP/1.1 server that closes while the client still sends resets the connection, and the client may never see the
 * answer. So the answer goes out at once, but ends only when the body has been read and thrown away, within limits.
 */
export async function send(
  request: NodeRequest,
  response: Outgoing,
  status: number,
  headers: Headers,
  bytes: Uint8Array | undefined,
): Promise<void> {
  sendHead(response, status, headers);
  const content = status === 204 || status === 304 ? undefined : (bytes ?? new Uint8Array());
  if (content !== undefined) {
    response.setHeader("content-length", String(content.length));
  }
  if (request.httpVersionMajor === 1 && hasUnreadBody(request)) {
    if (content !== undefined && content.length > 0) {
      response.write(content);
    }
    await drain(request);
    response.end();
    return;
  }
  if (content === undefined) {
    response.end();
  } else {
    response.end(content);
  }
  // An HTTP/2 stream that is left half read would stay open.
  request.resume();
}

/** Sets status and headers; Node sends them with the first byte of the body. Throws for values that no header can have. */
export function sendHead(response: Outgoing, status: number, headers: Headers): void {
  for (const [name, value] of headers) {
    if (name !== "set-cookie" && name !== "content-length") {
      // HTTP/2 would send control characters that HTTP/1.1 refuses.
      validateHeaderValue(name, value);
      response.setHeader(name, value);
    }
  }
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) {
    response.setHeader("set-cookie", cookies);
  }
  response.statusCode = status;
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
      if (size > drainMaxBytes) {
        done();
      }
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
