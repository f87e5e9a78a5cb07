import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionClaims } from "../jwt/claims.ts";
import type { Verifier } from "../verifier.ts";
import { type EdgeOptions, admit } from "./authenticate-request.ts";

/** Middleware in the form of Express, which plain `node:http` handlers can call too. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Property of a request that was let in. */
const claimsProperty = Symbol("session claims");

/** The claims of the session that makes the request. Throws where {@link verifierMiddleware} did not let it in. */
export function sessionClaimsOf(request: IncomingMessage): SessionClaims {
  const { [claimsProperty]: claims } = request as RequestWithClaims;
  if (claims === undefined) {
    throw new Error("the request did not pass verifierMiddleware: call it before the handler");
  }
  return claims;
}

/**
 * Lets only requests with a good session JWT go on to `next`. Others are answered with 401 and `WWW-Authenticate`, or with 503
 * where it cannot be told now.
 *
 * ```ts
 * const guard = verifierMiddleware(verifier);
 * createServer((request, response) =>
 *   guard(request, response, () => response.end(`hello ${sessionClaimsOf(request).memberId}`)),
 * );
 * ```
 *
 * With Express: `app.use(verifierMiddleware(verifier))`.
 */
export function verifierMiddleware(verifier: Verifier, options: EdgeOptions = {}): Middleware {
  return (request, response, next) => {
    void admit(verifier, options, (name) => textOf(request, name)).then((admission) => {
      if (admission.claims === undefined) {
        const { status, message, headers } = admission;
        const type = { "content-type": "application/json", "cache-control": "no-store" };
        response.writeHead(status, { ...type, ...headers }).end(JSON.stringify({ message }));
      } else {
        (request as RequestWithClaims)[claimsProperty] = admission.claims;
        next();
      }
    });
  };
}

interface RequestWithClaims extends IncomingMessage {
  [claimsProperty]?: SessionClaims;
}

function textOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
