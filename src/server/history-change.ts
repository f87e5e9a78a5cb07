import type { Logger } from "pino";
import type { HistoryChange, HistoryDifference } from "../domain/revocations/history.ts";
import { positionText } from "../domain/revocations/position.ts";

const lost =
  "the database was restored to an earlier state, or a failover lost commits: revoked sessions may be active again. " +
  "Stop all replicas and run `sessiond recover`";

const messages: Record<HistoryDifference, string> = {
  lower: `the log of revocations is behind the position that this process knew; ${lost}`,
  replaced: `the log of revocations has another revocation at the position that this process knew; ${lost}`,
  recovered: "`sessiond recover` has started a new history of the log of revocations",
};

/** Logs a change that this process has noticed by itself, once. A position that a caller sends is answered, and not logged. */
export function logHistoryChange(log: Logger, { projectId, difference, known, head }: HistoryChange): void {
  const fields = { project: projectId, known: positionText(known), head: positionText(head) };
  log.error(fields, messages[difference]);
}
