import type { Creation, Operation, Revocation } from "../history.ts";
import { RevocationIndex } from "./revocation-index.ts";
import type { VerifierObservation } from "../processes/verifier.ts";

/**
 * Checks the verdicts of a verifier with this staleness bound, in milliseconds. It may accept the JWT of a revoked session only if its
 * data, by the staleness that it reports, is from before the revocation returned and not older than the bound.
 */
export function checkVerifier(
  observations: readonly VerifierObservation[],
  history: readonly Operation[],
  maxStaleness: number,
): readonly string[] {
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const creations = history.filter((operation) => operation.kind === "creation");
  const index = new RevocationIndex(
    revocations.filter((revocation) => revocation.effective),
    creations,
  );
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  return observations.flatMap((observation) => {
    const creation = sessions.get(observation.session);
    if (creation === undefined) return [];
    const problem = problemOf(observation, creation, index.of(creation), maxStaleness);
    if (problem === undefined) return [];
    return [
      `${problem}: ${JSON.stringify(observation, (key, value) => (key === "claims" ? undefined : value))}`,
    ];
  });
}

function problemOf(
  observation: VerifierObservation,
  creation: Creation,
  revocations: readonly Revocation[],
  maxStaleness: number,
): string | undefined {
  const { verdict, start, end, before, after } = observation;
  if (verdict.ok) {
    const returned = (time: number) => revocations.find((revocation) => revocation.end < time);
    if (verdict.answeredBy === "server") {
      return returned(start) && "the server accepted a session after its revocation had returned";
    }
    if (Math.min(before, after) > maxStaleness) {
      return "the verifier accepted a JWT although its data was too old";
    }
    const revocation = returned(start - before);
    return (
      revocation && `the verifier accepted a JWT although its data included revision ${revocation.revision}`
    );
  }
  switch (verdict.reason) {
    case "revoked":
      // The revision is not compared: a cutoff may include a session that was dead already.
      return revocations.some((revocation) => revocation.start < end)
        ? undefined
        : `the verifier refused session ${creation.session} although nothing had ended it`;
    case "expired":
    case "stale":
    case "history_changed":
      return undefined;
    case "misconfigured":
      return "the server refused the verifier's credential, which is valid";
    case "invalid":
      return "the verifier refused a valid JWT as invalid";
  }
}
