import type { SessionClaims } from "../jwt/jwt-check.ts";
import type { Verifier } from "../verifier.ts";
import { type MiddlewareOptions, authenticateRequest } from "./authenticate-request.ts";

/** A handler of the Fetch API, for example of Hono, Deno or Bun. */
export type FetchHandler = (request: Request) => Promise<Response>;

/**
 * Passes requests with a valid session JWT to `handler`, with the session's claims. Answers others with 401 and
 * `WWW-Authenticate`, or with 503 if no verdict is possible at present.
 */
export function withSession(
  verifier: Verifier,
  handler: (request: Request, claims: SessionClaims) => Response | Promise<Response>,
  options: MiddlewareOptions = {},
): FetchHandler {
  return async (request) => {
    const outcome = await authenticateRequest(verifier, options, (name) => request.headers.get(name));
    if (outcome.claims !== undefined) return handler(request, outcome.claims);
    const { status, message, headers } = outcome;
    return Response.json({ message }, { status, headers: { "cache-control": "no-store", ...headers } });
  };
}
