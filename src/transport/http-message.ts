import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of HTTP/1.1 or HTTP/2, as Node's compatible APIs present it. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** The response to an {@link HttpRequest}. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** Serves requests of both protocols; may be async. */
export type RequestHandler = (req: HttpRequest, res: HttpResponse) => void | Promise<void>;

/**
 * Path of a request target, without its query and not decoded. A target in absolute form, which clients send to a proxy
 * (RFC 9112, 3.2.2), loses its origin. A URL parser would also resolve `..` and decode escapes.
 */
export function pathOf(target: string): string {
  const local = target.startsWith("/") ? target : withoutOrigin(target);
  const query = local.indexOf("?");
  return query < 0 ? local : local.slice(0, query);
}

function withoutOrigin(target: string): string {
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(target)?.[0];
  if (origin === undefined) return target;
  const local = target.slice(origin.length);
  return local.startsWith("/") ? local : `/${local}`;
}
