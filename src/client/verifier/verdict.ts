import type { SessionClaims } from "./jwt/claims.ts";
import type { Scope } from "./revocations/revocation.ts";

/** What is wrong with a JWT that no session JWT of the project would have, in the order in which it is looked for. */
export type Invalidity =
  | "form" // not three canonical base64url parts holding JSON, or too long
  | "algorithm" // not on the allow-list, or not the key's
  | "key" // the project publishes no such key
  | "signature"
  | "type" // `typ` is not JWT
  | "issuer"
  | "audience"
  | "claims" // a claim is missing or has the wrong form
  | "time" // not valid yet
  | "session"; // the server, asked, knows no such session

/** Good. */
export interface Accepted {
  readonly ok: true;
  readonly claims: SessionClaims;
  /** Who answered: this verifier by what it holds, or the server because that was too old. */
  readonly answeredBy: "verifier" | "server";
  /** True only with `onStale: "accept"`: the answer may be older than `maxStaleness`. */
  readonly stale: boolean;
}

/** Why a JWT is not accepted. */
export type Refusal =
  /** The JWT has expired, or the session has and the server, asked, said so; nothing else is wrong. */
  | { readonly ok: false; readonly reason: "expired" }
  /** The session, all of its member, organization or project, or the signing key was revoked. */
  | { readonly ok: false; readonly reason: "revoked"; readonly revision: number; readonly scope: Scope }
  /**
   * Nobody can tell now: what is held is older than `maxStaleness`, or there is no key to check the signature with, and the
   * server does not answer. Milliseconds; Infinity before the first snapshot.
   */
  | { readonly ok: false; readonly reason: "stale"; readonly staleness: number }
  | { readonly ok: false; readonly reason: "invalid"; readonly what: Invalidity };

/** What a JWT is worth. */
export type Verdict = Accepted | Refusal;

/** A refusal of a JWT that is wrong in itself. */
export function invalid(what: Invalidity): Refusal {
  return { ok: false, reason: "invalid", what };
}

/** A refusal in words for the one who presented the JWT; it tells no more than that. */
export function describeRefusal(refusal: Refusal): string {
  switch (refusal.reason) {
    case "expired":
      return "the session JWT has expired";
    case "revoked":
      return "the session was revoked";
    case "stale":
      return "whether the session is good cannot be told now; try again";
    case "invalid":
      return "the session JWT is not valid";
  }
}
