import type { ProjectId, RevocationId } from "../ids.ts";
import type { Position } from "./position.ts";

/** The newest revocation of a log and the start of its history, as of one snapshot. */
export interface LogBounds {
  /** Equals `start` if the history has no revocation. */
  readonly head: Position;
  readonly start: Position;
}

/**
 * How a log shows that it is not the one that had a revocation at a known position:
 *
 * - `lower`: its head is below. The database was restored to an earlier state, or a failover lost commits.
 * - `replaced`: another revocation has the revision. The same, and revocations were made since.
 * - `recovered`: its history starts above. `sessiond recover` started a new one.
 */
export const historyDifferences = ["lower", "replaced", "recovered"] as const;
export type HistoryDifference = (typeof historyDifferences)[number];

/** Compares a log with a position. `id` is the one that the log has at the position's revision; undefined if it is not known. */
export function differenceTo(
  { head, start }: LogBounds,
  position: Position,
  id: RevocationId | undefined,
): HistoryDifference | undefined {
  if (position.revision > head.revision) return "lower";
  if (position.revision < start.revision) return "recovered";
  return id === undefined || id === position.id ? undefined : "replaced";
}

/** A change of history that this process has read from the log, not from a caller. */
export interface HistoryChange {
  readonly projectId: ProjectId;
  readonly difference: HistoryDifference;
  /** Where the log that this process knew stood. */
  readonly known: Position;
  readonly head: Position;
}
