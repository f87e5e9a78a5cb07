import type { RequestHandler } from "../../transport/http-message.ts";

/**
 * Shows a handler all `authorization` headers of a request as one value, joined with a comma, which no scheme reads. Node
 * keeps the first of several without a word: a proxy that checked another one would have let a stranger in.
 */
export function singleAuthorization(handler: RequestHandler): RequestHandler {
  return (request, response) => {
    const values = request.rawHeaders.filter(
      (_, i, raw) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === "authorization",
    );
    if (values.length > 1) request.headers.authorization = values.join(", ");
    return handler(request, response);
  };
}
