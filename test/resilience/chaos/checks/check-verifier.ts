import { type Creation, type Operation, type Revocation, reaches } from "../history.ts";
import { Histories } from "./histories.ts";
import { RevocationIndex } from "./revocation-index.ts";
import type { VerifierObservation } from "../processes/verifier.ts";

/** What a verifier has done. Times in milliseconds. */
export interface VerifierRecord {
  readonly observations: readonly VerifierObservation[];
  readonly maxStaleness: number;
  /** Time at which each revision first took effect. */
  readonly received: ReadonlyMap<number, number>;
}

/**
 * Checks the verdicts of a verifier. It may accept the JWT of a revoked session only if its data, by the staleness that it reports, is
 * from before the revocation returned and not older than its bound. It never accepts what it has received as revoked, even if the
 * database was restored to a state without that revocation.
 */
export function checkVerifier(verifier: VerifierRecord, history: readonly Operation[]): readonly string[] {
  const histories = new Histories(history);
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const creations = history.filter((operation) => operation.kind === "creation");
  const index = new RevocationIndex(
    revocations.filter((revocation) => revocation.effective),
    creations,
    histories,
  );
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  /** Cutoffs shortly before the session, if the verdict is from after a restore. */
  const cutoffsBefore = (observation: VerifierObservation, creation: Creation) =>
    histories.isBeforeRestore(observation.end)
      ? []
      : revocations.filter(
          (revocation) =>
            revocation.scope !== "session" &&
            reaches(revocation, creation) &&
            creation.start - cutoffToleranceMs < revocation.end,
        );
  return verifier.observations.flatMap((observation) => {
    const creation = sessions.get(observation.session);
    if (creation === undefined) return [];
    const ending = index.of(creation);
    const problem = observation.verdict.ok
      ? wrongAcceptance(observation, creation, ending, histories, verifier)
      : wrongRefusal(observation, creation, ending, cutoffsBefore(observation, creation), histories);
    if (problem === undefined) return [];
    return [
      `${problem}: ${JSON.stringify(observation, (key, value) => (key === "claims" ? undefined : value))}`,
    ];
  });
}

function wrongAcceptance(
  { verdict, start, end, before, after }: VerifierObservation,
  creation: Creation,
  revocations: readonly Revocation[],
  histories: Histories,
  { received, maxStaleness }: VerifierRecord,
): string | undefined {
  const isServer = verdict.ok && verdict.answeredBy === "server";
  const asOf = isServer ? start : start - before;
  const held = revocations.find(
    ({ revision, end }) =>
      revision !== undefined &&
      // Revisions repeat after a restore: what is received then may be another revocation.
      histories.isBeforeRestore(end) &&
      isHeld(received.get(revision), start, histories),
  );
  if (held !== undefined) return `the verifier accepted a JWT although it held revision ${held.revision}`;
  if (!isServer && Math.min(before, after) > maxStaleness) {
    return "the verifier accepted a JWT although its data was too old";
  }
  if (histories.hasRecovered(asOf) && histories.isOlderThanRecovery(creation)) {
    return "a JWT from before the recovery was accepted";
  }
  const revocation = revocations.find(
    (revocation) =>
      revocation.end < asOf && (histories.isBeforeRestore(end) || histories.fateOf(revocation) === "kept"),
  );
  if (revocation === undefined) return undefined;
  return isServer
    ? "the server accepted a session after its revocation had returned"
    : `the verifier accepted a JWT although its data included revision ${revocation.revision}`;
}

function isHeld(receivedAt: number | undefined, start: number, histories: Histories): boolean {
  return receivedAt !== undefined && receivedAt < start && histories.isBeforeRestore(receivedAt);
}

/** After a restore a verifier compares the times of cutoffs and sessions, with this tolerance in milliseconds. */
const cutoffToleranceMs = 30_000;

function wrongRefusal(
  { verdict, end }: VerifierObservation,
  creation: Creation,
  revocations: readonly Revocation[],
  cutoffs: readonly Revocation[],
  histories: Histories,
): string | undefined {
  if (verdict.ok) return undefined;
  const isRecovered = histories.hasBegunRecovery(end) && !histories.hasRecovered(creation.start);
  switch (verdict.reason) {
    case "revoked":
      // The revision is not compared: a cutoff may include a session that was dead already.
      return isRecovered || [...revocations, ...cutoffs].some((revocation) => revocation.start < end)
        ? undefined
        : `the verifier refused session ${creation.session} although nothing had ended it`;
    case "expired":
    case "stale":
    case "history_changed":
      return undefined;
    case "misconfigured":
      return "the server refused the verifier's credential, which is valid";
    case "invalid":
      // The restored database may lack the session or its signing key.
      return isRecovered || histories.fateOf(creation) !== "kept"
        ? undefined
        : "the verifier refused a valid JWT as invalid";
  }
}
