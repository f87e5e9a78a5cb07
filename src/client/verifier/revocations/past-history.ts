import { clockToleranceMs } from "../../../jwt/claims.ts";
import type { FoundRevocation, PossibleCutoff, RevocationIndex, Subject } from "./revocation-index.ts";

/**
 * Returns the revocation of a session in a log that the service no longer continues: its database was restored to an earlier
 * state, or lost commits in a failover. The session may be one of the newer log, so that revisions say nothing about it. A session
 * is revoked if `past` holds its id, or if it was created, by the time in its id, before a cutoff or up to 30 seconds after it.
 */
export function findPastRevocation(past: RevocationIndex, subject: Subject): FoundRevocation | undefined {
  const revision = past.findSession(subject.sessionId);
  if (revision !== undefined) return { revision, scope: "session" };
  const { newest, sparings } = past.cutoffsOf(subject);
  const lastSpared = Math.max(0, ...sparings.map(({ last }) => last));
  const overwritten = sparings.map(({ scope, before, beforeRevokedAt }) => ({
    scope,
    revision: before,
    revokedAt: beforeRevokedAt,
  }));
  const created = creationTimeOf(subject.sessionId);
  const revokes = ({ scope, revision: at, revokedAt }: PossibleCutoff): boolean => {
    if (at === 0 || sparings.some((sparing) => sparing.scope === scope && sparing.last === at)) return false;
    // A later cutoff has exempted the session: an earlier one counts only if it revoked the session for certain.
    return created < revokedAt + (at > lastSpared ? clockToleranceMs : -clockToleranceMs);
  };
  const found = [...newest, ...overwritten].find(revokes);
  return found && { revision: found.revision, scope: found.scope };
}

/** Returns the time in a UUIDv7, in milliseconds since 1970; -Infinity for other ids, as if the session were older than every cutoff. */
function creationTimeOf(sessionId: string): number {
  if (sessionId[14] !== "7") return -Infinity;
  return Number.parseInt(sessionId.slice(0, 8) + sessionId.slice(9, 13), 16);
}
