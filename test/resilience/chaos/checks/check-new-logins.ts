import type { Operation, Span } from "../history.ts";
import type { VerifierObservation } from "../processes/verifier.ts";
import { Histories } from "./histories.ts";
import { RevocationIndex } from "./revocation-index.ts";

/** Checks that a verifier accepts the sessions that were created, and not revoked, in a phase without trouble. */
export function checkNewLogins(
  observations: readonly VerifierObservation[],
  history: readonly Operation[],
  phase: Span,
): readonly string[] {
  const creations = history
    .filter((operation) => operation.kind === "creation")
    .filter(({ start, end }) => start > phase.start && end < phase.end);
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const index = new RevocationIndex(revocations, creations, new Histories(history));
  const alive = new Set(
    creations.filter((creation) => index.of(creation).length === 0).map(({ session }) => session),
  );
  const asked = observations.filter(({ session, end }) => alive.has(session) && end < phase.end);
  if (asked.length === 0) return ["a verifier was not asked about new logins"];
  return asked
    .filter(({ verdict }) => !verdict.ok)
    .map((refusal) => `a verifier refused a new login: ${JSON.stringify(refusal)}`);
}
