import { Code, ConnectError, type ContextKey, type Interceptor, createContextKey } from "@connectrpc/connect";
import type { SessionClaims } from "../jwt/jwt-check.ts";
import type { Verifier } from "../verifier.ts";
import { type MiddlewareOptions, authenticateRequest } from "./authenticate-request.ts";

/** Key of the session's claims: `context.values.get(sessionClaimsKey)`. Undefined without {@link verifierInterceptor}. */
export const sessionClaimsKey: ContextKey<SessionClaims | undefined> = createContextKey<
  SessionClaims | undefined
>(undefined, { description: "session claims" });

/**
 * Accepts calls with a valid session JWT on a Connect server. Others fail with UNAUTHENTICATED, or with UNAVAILABLE if no
 * verdict is possible at present, also because the server refuses the verifier's own credential.
 */
export function verifierInterceptor(verifier: Verifier, options: MiddlewareOptions = {}): Interceptor {
  return (next) => async (request) => {
    const outcome = await authenticateRequest(verifier, options, (name) => request.header.get(name));
    if (outcome.claims === undefined) {
      const code = outcome.status === 401 ? Code.Unauthenticated : Code.Unavailable;
      throw new ConnectError(outcome.message, code, { ...outcome.headers });
    }
    request.contextValues.set(sessionClaimsKey, outcome.claims);
    return next(request);
  };
}
