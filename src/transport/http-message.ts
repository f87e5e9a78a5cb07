import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of HTTP/1 or HTTP/2. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** The response to an {@link HttpRequest}. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** Serves requests of both protocols; may be async. */
export type RequestHandler = (req: HttpRequest, res: HttpResponse) => void | Promise<void>;

/** A request target, split but not decoded. */
export interface Target {
  readonly path: string;
  readonly query: string;
}

/**
 * Splits a request target without decoding it. A target in absolute form, which clients send to a proxy (RFC 9112, 3.2.2),
 * loses its origin. A URL parser would also resolve `..` and decode escapes.
 */
export function splitTarget(target: string): Target {
  const local = withoutOrigin(target);
  const query = local.indexOf("?");
  return query < 0
    ? { path: local, query: "" }
    : { path: local.slice(0, query), query: local.slice(query + 1) };
}

/** Path of a request target, see {@link splitTarget}. */
export function pathOf(target: string): string {
  return splitTarget(target).path;
}

/** Path and query of a request target. */
export function withoutOrigin(target: string): string {
  if (target.startsWith("/")) return target;
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(target)?.[0];
  if (origin === undefined) return target;
  const local = target.slice(origin.length);
  return local.startsWith("/") ? local : `/${local}`;
}

/** Counts how often a header was sent. Node keeps only the first of some. `name` is in lower case. */
export function countHeader(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) count++;
  }
  return count;
}

/** Ends a response. TypeScript cannot call the overloads of the union. */
export function endResponse(response: HttpResponse, body?: string | Uint8Array): void {
  (response as ServerResponse).end(body);
}

/** Ends a response without a body, and discards the body of its request. */
export async function endEmpty(request: HttpRequest, response: HttpResponse, status: number): Promise<void> {
  response.statusCode = status;
  endResponse(response);
  request.resume();
}

/** Sends a whole response. */
export function sendResponse(
  response: HttpResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body?: string | Uint8Array,
): void {
  (response as ServerResponse).writeHead(status, headers).end(body);
}

/** Calls `gone` if the client goes away before the response has ended. */
export function onClientGone(response: HttpResponse, gone: () => void): void {
  // Node emits "close" after every response.
  response.once("close", () => {
    if (!response.writableEnded) gone();
  });
}

/**
 * Ends a response so that its client can tell that it is incomplete. `stream.close(code)` after two quick writes was seen to
 * spin in Node's native code; destroying a stream without an error would look like its regular end.
 */
export function abortResponse(response: HttpResponse): void {
  if ("stream" in response) response.stream.destroy(new Error("the response was aborted"));
  else response.destroy();
}
