import type { Outgoing } from "./exchange.ts";

/** Sends a whole answer. Without bytes it has no body; 204 and 304 never have one. Headers set before survive. */
export function send(
  response: Outgoing,
  status: number,
  headers: Headers,
  bytes: Uint8Array | undefined,
): void {
  sendHead(response, status, headers);
  if (status === 204 || status === 304) {
    response.end();
    return;
  }
  response.setHeader("content-length", String(bytes?.length ?? 0));
  if (bytes === undefined) {
    response.end();
  } else {
    response.end(bytes);
  }
}

/** Sets status and headers, of which Node sends the head with the first byte of the body. */
export function sendHead(response: Outgoing, status: number, headers: Headers): void {
  for (const [name, value] of headers) {
    if (name !== "set-cookie" && name !== "content-length") {
      response.setHeader(name, value);
    }
  }
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) {
    response.setHeader("set-cookie", cookies);
  }
  response.statusCode = status;
}
