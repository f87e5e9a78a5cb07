import type { SessionClaims } from "../jwt/claims.ts";
import type { Verifier } from "../verifier.ts";
import { type EdgeOptions, admit } from "./authenticate-request.ts";

/** A handler of the Fetch API, as Hono, Deno, Bun and workers take it. */
export type FetchHandler = (request: Request) => Promise<Response>;

/**
 * Lets only requests with a good session JWT reach `handler`, with the claims of their session. Others are answered with 401
 * and `WWW-Authenticate`, or with 503 where it cannot be told now.
 *
 * ```ts
 * const handle = withSession(verifier, (_request, claims) => new Response(`hello ${claims.memberId}`));
 * ```
 */
export function withSession(
  verifier: Verifier,
  handler: (request: Request, claims: SessionClaims) => Response | Promise<Response>,
  options: EdgeOptions = {},
): FetchHandler {
  return async (request) => {
    const admission = await admit(verifier, options, (name) => request.headers.get(name) ?? undefined);
    if (admission.claims !== undefined) return handler(request, admission.claims);
    const { status, message, headers } = admission;
    return Response.json({ message }, { status, headers: { "cache-control": "no-store", ...headers } });
  };
}
