import { Code, ConnectError, type ContextKey, type Interceptor, createContextKey } from "@connectrpc/connect";
import type { SessionClaims } from "../jwt/claims.ts";
import type { Verifier } from "../verifier.ts";
import { type EdgeOptions, admit } from "./authenticate-request.ts";

/** Where handlers find the claims of the calling session: `context.values.get(sessionClaimsKey)`. Undefined without {@link verifierInterceptor}. */
export const sessionClaimsKey: ContextKey<SessionClaims | undefined> = createContextKey<
  SessionClaims | undefined
>(undefined, { description: "session claims" });

/**
 * Lets only calls with a good session JWT reach the handlers of a Connect server. Others fail with UNAUTHENTICATED, or with
 * UNAVAILABLE where it cannot be told now.
 *
 * ```ts
 * router.service(GreetService, {
 *   greet: (_request, context) => ({ text: `hello ${context.values.get(sessionClaimsKey)?.memberId}` }),
 * }, { interceptors: [verifierInterceptor(verifier)] });
 * ```
 */
export function verifierInterceptor(verifier: Verifier, options: EdgeOptions = {}): Interceptor {
  return (next) => async (request) => {
    const admission = await admit(verifier, options, (name) => request.header.get(name) ?? undefined);
    if (admission.claims === undefined) {
      const { status, message, headers } = admission;
      throw new ConnectError(message, status === 401 ? Code.Unauthenticated : Code.Unavailable, {
        ...headers,
      });
    }
    request.contextValues.set(sessionClaimsKey, admission.claims);
    return next(request);
  };
}
