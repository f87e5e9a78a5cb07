import { SessiondError } from "../../domain/errors.ts";
import { type HttpRequest, type RequestHandler, countHeader } from "../../transport/http-message.ts";
import { sendEarlyError } from "../listener/early-errors.ts";

/** RFC 3986 `host [":" port]`: a bracketed IP literal, or a name or IPv4 address of unreserved, escaped and sub-delim characters. */
const hostAndPort = /^(\[[0-9a-f:.]+\]|[\w\-.~%!$&'()*+,;=]+)(:\d*)?$/i;

/** Answers requests whose Host (HTTP/2: `:authority`) is missing, repeated or not the host of a URL with INVALID_ARGUMENT. */
export function safeHost(handler: RequestHandler): RequestHandler {
  const isUsable = createHostCheck();
  return (req, res) => {
    const complaint = hostComplaint(req, isUsable);
    if (complaint === undefined) return handler(req, res);
    const violations = [{ field: "host", description: complaint }];
    sendEarlyError(req, res, new SessiondError("FIELD_INVALID", { violations }));
  };
}

function hostComplaint(req: HttpRequest, isUsable: (host: string) => boolean): string | undefined {
  const header = "authority" in req ? ":authority or Host header" : "Host header";
  const host = "authority" in req ? req.authority : req.headers.host;
  if (host === undefined || host === "") {
    return `the ${header} is missing: send the host name and port of this server`;
  }
  if (countHeader(req.rawHeaders, "host") > 1) return "more than one Host header: send exactly one";
  if (!isUsable(host)) return `the ${header} is not a host name or address with an optional port`;
  return undefined;
}

/** Checks whether a Host header or `:authority` can be the host of a URL. Remembers the last one, which most requests share. */
export function createHostCheck(): (host: string | undefined) => boolean {
  let known = "";
  return (host) => {
    if (host === undefined || host === "") return false;
    if (host === known) return true;
    const isUsable = hostAndPort.test(host) && URL.canParse(`http://${host}`);
    if (isUsable) known = host;
    return isUsable;
  };
}

/**
 * Shows a handler all `authorization` headers of a request as one value, joined with a comma, which no scheme accepts. Node
 * keeps only the first of several: a caller could get past a proxy that checks another one.
 */
export function singleAuthorization(handler: RequestHandler): RequestHandler {
  return (request, response) => {
    if (countHeader(request.rawHeaders, "authorization") > 1) {
      request.headers.authorization = request.rawHeaders
        .filter((_, i, raw) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === "authorization")
        .join(", ");
    }
    return handler(request, response);
  };
}
