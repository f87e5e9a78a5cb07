import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionClaims } from "../jwt/jwt-check.ts";
import type { Verifier } from "../verifier.ts";
import {
  type MiddlewareOptions,
  attachClaims,
  attachedClaims,
  authenticateRequest,
} from "./authenticate-request.ts";

/** Middleware for Express and for `node:http`. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Returns the claims of the request's session. Throws if the request did not pass {@link verifierMiddleware}. */
export function sessionClaimsOf(request: IncomingMessage): SessionClaims {
  return attachedClaims(request, "the request did not pass verifierMiddleware: call it before the handler");
}

/**
 * Calls `next` for requests with a valid session JWT. Answers others with 401 and `WWW-Authenticate`, or with 503 if no verdict
 * is possible at present.
 */
export function verifierMiddleware(verifier: Verifier, options: MiddlewareOptions = {}): Middleware {
  return (request, response, next) => {
    void authenticateRequest(verifier, options, (name) => textOf(request, name)).then((outcome) => {
      if (outcome.claims === undefined) {
        const { status, message, headers } = outcome;
        const type = { "content-type": "application/json", "cache-control": "no-store" };
        response.writeHead(status, { ...type, ...headers }).end(JSON.stringify({ message }));
      } else {
        attachClaims(request, outcome.claims);
        next();
      }
    });
  };
}

function textOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
