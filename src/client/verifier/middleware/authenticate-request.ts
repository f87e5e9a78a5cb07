import type { SessionClaims } from "../jwt/jwt-check.ts";
import { type Rejection, describeRejection } from "../verdict.ts";
import type { Verifier } from "../verifier.ts";

/** Returns a header of a request, or metadata of a call. `name` is in lower case. */
export type HeaderReader = (name: string) => string | undefined;

export interface MiddlewareOptions {
  /**
   * Returns the session JWT of a request, or undefined if it has none; `authorization: Bearer <jwt>` by default. If it throws,
   * the request is rejected like one with an invalid JWT.
   */
  readonly extract?: (header: HeaderReader) => string | undefined;
}

/** The claims of an accepted request, or the answer to a rejected one. */
export type RequestVerdict =
  | { readonly claims: SessionClaims }
  | {
      readonly claims?: undefined;
      /** 503 if no verdict is possible at present, which says nothing about the session: do not log the user out. */
      readonly status: 401 | 503;
      /** For the caller. */
      readonly message: string;
      /** Headers of the answer, with names in lower case. */
      readonly headers: Readonly<Record<string, string>>;
    };

/** Verifies the session JWT of a request. Never rejects. */
export async function authenticateRequest(
  verifier: Pick<Verifier, "verify">,
  { extract = bearer }: MiddlewareOptions,
  readHeader: (name: string) => string | null | undefined,
): Promise<RequestVerdict> {
  let jwt: string | undefined;
  try {
    jwt = extract((name) => readHeader(name) ?? undefined);
  } catch {
    jwt = ""; // no valid JWT
  }
  // RFC 6750, section 3.1: no error code if the request has no credential.
  if (jwt === undefined) {
    const headers = { "www-authenticate": "Bearer" };
    return { status: 401, message: "the request carries no session JWT", headers };
  }
  const verdict = await verifier.verify(jwt);
  if (verdict.ok) return { claims: verdict.claims };
  const message = describeRejection(verdict);
  if (noVerdict.has(verdict.reason)) {
    return { status: 503, message, headers: { "retry-after": "1" } };
  }
  const challenge = `Bearer error="invalid_token", error_description="${message}"`;
  return { status: 401, message, headers: { "www-authenticate": challenge } };
}

/** Reasons that say nothing about the session. */
const noVerdict: ReadonlySet<Rejection["reason"]> = new Set(["stale", "history_changed", "misconfigured"]);

/** Reads `authorization: Bearer …` (RFC 6750, section 2.1). */
function bearer(header: HeaderReader): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(header("authorization") ?? "")?.[1];
}

const claimsProperty = Symbol("session claims");

interface WithClaims {
  [claimsProperty]?: SessionClaims;
}

/** Attaches claims to an accepted request, or to the metadata of an accepted call. */
export function attachClaims(target: object, claims: SessionClaims): void {
  (target as WithClaims)[claimsProperty] = claims;
}

/** Returns the attached claims. Throws an Error with the text `problem` if there are none. */
export function attachedClaims(target: object, problem: string): SessionClaims {
  const claims = (target as WithClaims)[claimsProperty];
  if (claims === undefined) throw new Error(problem);
  return claims;
}
