import type { Verdict, VerifierOptions } from "../../../../src/client/verifier/verifier.ts";

/** What a verifier process is started with. */
export type VerifierStart = VerifierOptions;

/** What it is told: to verify a JWT, or to expect the revocation of a session. */
export type VerifierMessage =
  | { readonly kind: "verify"; readonly id: number; readonly jwt: string }
  | { readonly kind: "expect"; readonly session: string; readonly jwt: string };

/** What it tells; times in milliseconds of the monotonic clock. */
export type VerifierAnswer =
  | { readonly kind: "event"; readonly name: VerifierEvent }
  /** From `at` on the revocation is heeded: where its session was expected, its JWT has been refused. */
  | { readonly kind: "heard"; readonly revision: number; readonly at: number; readonly refused?: true }
  | VerifierVerdict;

/** What is counted. */
export type VerifierEvent = "ready" | "stale" | "fresh" | "resynchronised";

/** A verdict, with the staleness that the verifier reported just before and just after. */
export interface VerifierVerdict {
  readonly kind: "verdict";
  readonly id: number;
  readonly start: number;
  readonly end: number;
  readonly before: number;
  readonly after: number;
  readonly verdict: Verdict;
}
