import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionClaims } from "../jwt/jwt-check.ts";
import type { Verifier } from "../verifier.ts";
import { type MiddlewareOptions, authenticateRequest } from "./authenticate-request.ts";

/** Middleware for Express and for `node:http`. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Property of an accepted request. */
const claimsProperty = Symbol("session claims");

/** Returns the claims of the request's session. Throws if the request did not pass {@link verifierMiddleware}. */
export function sessionClaimsOf(request: IncomingMessage): SessionClaims {
  const { [claimsProperty]: claims } = request as RequestWithClaims;
  if (claims === undefined) {
    throw new Error("the request did not pass verifierMiddleware: call it before the handler");
  }
  return claims;
}

/**
 * Calls `next` for requests with a valid session JWT. Answers others with 401 and `WWW-Authenticate`, or with 503 if no verdict
 * is possible at present.
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
export function verifierMiddleware(verifier: Verifier, options: MiddlewareOptions = {}): Middleware {
  return (request, response, next) => {
    void authenticateRequest(verifier, options, (name) => textOf(request, name)).then((outcome) => {
      if (outcome.claims === undefined) {
        const { status, message, headers } = outcome;
        const type = { "content-type": "application/json", "cache-control": "no-store" };
        response.writeHead(status, { ...type, ...headers }).end(JSON.stringify({ message }));
      } else {
        (request as RequestWithClaims)[claimsProperty] = outcome.claims;
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
