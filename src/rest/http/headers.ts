import type { IncomingHttpHeaders } from "node:http";
import { webHeaders } from "../../transport/call.ts";

/** Hop-by-hop headers (RFC 9110, 7.6.1). */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Headers that only the transcoder may set. */
const framing: ReadonlySet<string> = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "date",
  "host",
]);

function isEndToEnd(name: string): boolean {
  return !hopByHop.has(name) && !name.startsWith("grpc-");
}

/**
 * Headers for handlers: without hop-by-hop headers and those of the RPC protocols. `host` is also set from `:authority` of HTTP/2.
 */
export function requestHeaders(node: IncomingHttpHeaders): Headers {
  const named = connectionOptions(node.connection);
  const headers = webHeaders(node, (name) => isEndToEnd(name) && named?.has(name) !== true);
  const authority = node[":authority"];
  if (typeof authority === "string" && !headers.has("host")) headers.set("host", authority);
  return headers;
}

/** Names that a Connection header makes hop-by-hop for this message. */
function connectionOptions(value: string | undefined): ReadonlySet<string> | undefined {
  return value === undefined ? undefined : new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}

/** Copies the headers that a handler may set. Replaces those of the same name, but adds cookies. */
export function mergeAnswerHeaders(into: Headers, from: Headers): void {
  // Headers yield each name once with all its values, but each cookie separately.
  for (const [name, value] of from) {
    if (!isEndToEnd(name) || framing.has(name)) continue;
    if (name === "set-cookie") into.append(name, value);
    else into.set(name, value);
  }
}
