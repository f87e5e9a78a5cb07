import type { IncomingHttpHeaders } from "node:http";

/** Headers of one connection (RFC 9110, 7.6.1), which no proxy and no transcoder hands on. */
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

/** Headers of an answer that only the transcoder can know. */
const framing: ReadonlySet<string> = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "date",
  "host",
]);

/** Whether a name is free for callers and handlers to use. */
function isEndToEnd(name: string): boolean {
  return !hopByHop.has(name) && !name.startsWith("grpc-");
}

/**
 * The headers of a request as a handler sees them: all but hop-by-hop ones and what belongs to the RPC protocols.
 * HTTP/2 says `:authority` where HTTP/1.1 says `Host`; a handler finds `host` either way.
 */
export function requestHeaders(node: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  const named = connectionOptions(node.connection);
  for (const [name, value] of Object.entries(node)) {
    if (value === undefined || name.startsWith(":") || !isEndToEnd(name) || named?.has(name) === true) {
      continue;
    }
    if (typeof value === "string") {
      headers.append(name, value);
    } else {
      value.forEach((one) => headers.append(name, one));
    }
  }
  const authority = node[":authority"];
  if (typeof authority === "string" && !headers.has("host")) headers.set("host", authority);
  return headers;
}

/** Names that a Connection header makes hop-by-hop for this message. */
function connectionOptions(value: string | undefined): ReadonlySet<string> | undefined {
  return value === undefined ? undefined : new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}

/**
 * Puts `from` into the headers of an answer, skipping what a handler may not say. A name in both is replaced, except
 * cookies, which add up.
 */
export function mergeAnswerHeaders(into: Headers, from: Headers): void {
  // A Headers object gives each name once, with all its values, and each cookie by itself.
  for (const [name, value] of from) {
    if (!isEndToEnd(name) || framing.has(name)) continue;
    if (name === "set-cookie") {
      into.append(name, value);
    } else {
      into.set(name, value);
    }
  }
}
