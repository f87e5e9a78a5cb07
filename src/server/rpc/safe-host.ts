import type { HttpRequest, RequestHandler } from "../../transport/http-message.ts";
import { SessiondError } from "../../domain/errors.ts";
import { sendEarlyError } from "../listener/early-errors.ts";

/** RFC 3986 `host [":" port]`: a bracketed IP literal, or a name or IPv4 address of unreserved, escaped and sub-delim characters. */
const hostAndPort = /^(\[[0-9a-f:.]+\]|[\w\-.~%!$&'()*+,;=]+)(:\d*)?$/i;

/**
 * Answers requests whose Host (HTTP/2: `:authority`) is missing, repeated or unusable as the host of a URL
 * with INVALID_ARGUMENT, and hands all others on untouched.
 *
 * The Connect adapter builds a URL from this header and throws, outside of any promise, if it cannot: without
 * this, one anonymous request ends the process.
 */
export function safeHost(handler: RequestHandler): RequestHandler {
  return (req, res) => {
    const complaint = hostComplaint(req);
    if (complaint === undefined) return handler(req, res);
    const violations = [{ field: "host", description: complaint }];
    sendEarlyError(req, res, new SessiondError("FIELD_INVALID", { violations }));
  };
}

function hostComplaint(req: HttpRequest): string | undefined {
  const header = "authority" in req ? ":authority or Host header" : "Host header";
  const host = "authority" in req ? req.authority : req.headers.host;
  if (host === undefined || host === "") {
    return `the ${header} is missing: send the host name and port of this server`;
  }
  if (countHosts(req.rawHeaders) > 1) return "more than one Host header: send exactly one";
  if (!isUsableHost(host)) return `the ${header} is not a host name or address with an optional port`;
  return undefined;
}

/** The last good one: a client names the same host with every request. */
let known = "";

/** Whether a Host header or `:authority` can be the host of a URL. */
export function isUsableHost(host: string | undefined): boolean {
  if (host === undefined || host === "") return false;
  if (host === known) return true;
  const isUsable = hostAndPort.test(host) && URL.canParse(`http://${host}`);
  if (isUsable) known = host;
  return isUsable;
}

/** Node keeps the first of several Host headers without a word; RFC 9112, section 3.2, wants the request refused. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === "host") count++;
  return count;
}
