import { SessiondError } from "../../domain/errors.ts";
import { type HttpRequest, type RequestHandler, countHeader } from "../../transport/http-message.ts";
import { sendEarlyError } from "../listener/early-errors.ts";

/** RFC 3986 `host [":" port]`: a bracketed IPv6 address, or a name or IPv4 address. */
const hostAndPort = /^(\[[\da-f:.]+(%25[\w.~-]+)?\]|([\w\-.~!$&'()*+;=]|%[\da-f]{2})+)(:\d{0,5})?$/i;

/** Answers requests whose Host (HTTP/2: `:authority`) is missing, repeated or malformed with INVALID_ARGUMENT. */
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
  if (host === undefined && req.httpVersion === "1.0") return undefined;
  if (host === undefined || host === "") {
    return `the ${header} is missing: send the host name and port of this server`;
  }
  if (countHeader(req.rawHeaders, "host") > 1) return "more than one Host header: send exactly one";
  if (!isAuthority(host)) return `the ${header} is not a host name or address with an optional port`;
  return undefined;
}

/** Whether a Host header or `:authority` is well-formed. gRPC's C-core sends all addresses of a list, escaped or not. */
export function isAuthority(value: string | undefined): boolean {
  if (value === undefined) return false;
  return hostAndPort.test(value) || value.split(/,|%2c/i).every((one) => hostAndPort.test(one));
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
