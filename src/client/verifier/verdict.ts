import type { Invalidity, SessionClaims } from "./jwt/jwt-check.ts";
import type { VerifierScope } from "./revocations/revocation.ts";

export interface Accepted {
  readonly ok: true;
  readonly claims: SessionClaims;
  /** "server" if the verifier's own knowledge was too old and it called Authenticate. */
  readonly answeredBy: "verifier" | "server";
  /** True only with `onStale: "accept"`: the revocations known may be older than `maxStaleness`. */
  readonly stale: boolean;
}

export type Rejection =
  /** The JWT has expired, or the server reports that the session has; no other check failed. */
  | { readonly ok: false; readonly reason: "expired" }
  /**
   * The session, its member, organization or project, or the signing key was revoked, at this revision of the log. After the event
   * historyChanged it may be a revision of the log that was followed before.
   */
  | {
      readonly ok: false;
      readonly reason: "revoked";
      readonly revision: number;
      readonly scope: VerifierScope;
    }
  /**
   * No verdict is possible at present: the revocations known are older than `maxStaleness`, or no key is available to check the
   * signature, and the server does not answer. `staleness` is in milliseconds; Infinity before the first snapshot.
   */
  | { readonly ok: false; readonly reason: "stale"; readonly staleness: number }
  /**
   * No verdict is possible at present: the followed log has another history than before (see `onHistoryChanged`), and the server
   * does not answer or must not be asked.
   */
  | { readonly ok: false; readonly reason: "history_changed" }
  /**
   * No verdict is possible, because the server refuses the verifier's own credential, or the credential lacks a permission.
   * This says nothing about the session. The event `credentialRefused` has the error.
   */
  | { readonly ok: false; readonly reason: "misconfigured" }
  | { readonly ok: false; readonly reason: "invalid"; readonly what: Invalidity };

export type Verdict = Accepted | Rejection;

export function invalid(what: Invalidity): Rejection {
  return { ok: false, reason: "invalid", what };
}

const descriptions: Readonly<Record<Rejection["reason"], string>> = {
  expired: "the session JWT has expired",
  revoked: "the session was revoked",
  stale: "the session cannot be verified at present; try again",
  history_changed: "the session cannot be verified at present; try again",
  misconfigured: "the session cannot be verified at present",
  invalid: "the session JWT is not valid",
};

/** Describes a rejection to the caller who presented the JWT, without further details. */
export function describeRejection({ reason }: Rejection): string {
  return descriptions[reason];
}
