import { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";
import { Histories } from "./histories.ts";
import { type Operation, type Revocation, reaches } from "../history.ts";
import { RevisionOrder, revisionOf } from "./revocation-index.ts";
import type { WatchedLog } from "../watcher.ts";

export interface LogRow {
  readonly revision: number;
  readonly scope: "session" | "member" | "organization" | "project";
  readonly target_id: string;
  readonly except_session_id: string | null;
}

/** Compares acknowledged operations with the database. Returns a line per problem. */
export function checkStored(
  history: readonly Operation[],
  log: readonly LogRow[],
  sessions: ReadonlyMap<string, "alive" | "dead">,
  projectId: string,
): readonly string[] {
  const rows = new Map(log.map((row) => [row.revision, row]));
  const problems: string[] = [];
  log.forEach(({ revision }, i) => {
    const expected = (log[0]?.revision ?? 1) + i;
    if (revision !== expected) problems.push(`the log has revision ${revision} where ${expected} should be`);
  });
  const acknowledged = new Set<number>();
  let unknown = 0;
  for (const operation of history) {
    if (operation.kind !== "revocation" || !operation.effective) continue;
    const { revision, scope, target } = operation;
    if (revision === undefined) {
      unknown++;
      continue;
    }
    acknowledged.add(revision);
    const row = rows.get(revision);
    const stored = row?.scope === "project" ? row.target_id === projectId : row?.target_id === target;
    if (row?.scope !== scope || !stored) {
      problems.push(`revision ${revision} (${scope} ${target}) is not in the log`);
    }
  }
  const ghosts = log.filter(({ revision }) => !acknowledged.has(revision)).length;
  if (ghosts > unknown) {
    problems.push(`${ghosts} rows of the log were not requested; only ${unknown} outcomes are unknown`);
  }
  return [...problems, ...checkSessions(history, log, sessions)];
}

/** Every acknowledged session is stored, and dead if and only if the log has a revocation of it. */
function checkSessions(
  history: readonly Operation[],
  log: readonly LogRow[],
  sessions: ReadonlyMap<string, "alive" | "dead">,
): readonly string[] {
  const byTarget = Map.groupBy(log, ({ scope, target_id }) =>
    scope === "project" ? scope : `${scope}/${target_id}`,
  );
  return history.flatMap((operation) => {
    if (operation.kind !== "creation") return [];
    const { session, member, organization, createdRevision } = operation;
    const keys = [`session/${session}`, `member/${member}`, `organization/${organization}`, "project"];
    const revocation = keys
      .flatMap((key) => byTarget.get(key) ?? [])
      .find(
        ({ revision, scope, target_id: target, except_session_id: except }) =>
          revision > createdRevision &&
          reaches({ scope, target, ...(except === null ? {} : { except }) }, operation),
      );
    const expected = revocation === undefined ? "alive" : "dead";
    const stored = sessions.get(session) ?? "missing";
    return stored === expected ? [] : [`session ${session} is ${stored}, by the log it is ${expected}`];
  });
}

/** Compares received revocations with the log: each once, in order, without gaps, and with true claims. */
export function checkWatchedLog(
  watched: WatchedLog,
  log: readonly LogRow[],
  history: readonly Operation[],
): readonly string[] {
  const rows = new Map(log.map((row) => [row.revision, row]));
  const problems: string[] = [];
  watched.revocations.forEach((received, i) => {
    const expected = watched.from + 1 + i;
    const row = rows.get(expected);
    if (Number(received.revision) !== expected) {
      problems.push(`received revision ${received.revision} where ${expected} should be`);
    }
    // Purged rows cannot be compared.
    else if (row !== undefined && !isSame(received, row)) {
      problems.push(`received revision ${expected} with different contents`);
    }
  });
  const known = history.filter(
    (operation): operation is Revocation =>
      operation.kind === "revocation" && operation.effective && operation.revision !== undefined,
  );
  const order = new RevisionOrder(known);
  for (const { asOf, revision } of watched.claims) {
    const returned = revisionOf(order.newestReturnedBefore(asOf));
    if (returned > revision) {
      problems.push(`claimed that ${revision} is the newest revision after ${returned} had returned`);
    }
  }
  return problems;
}

/** Finds a stream with revocations that the restore lost, and with later ones: it went on in another log without saying so. */
export function checkOneHistory(watched: WatchedLog, history: readonly Operation[]): readonly string[] {
  const histories = new Histories(history);
  const lost = new Set<string>();
  const later = new Set<string>();
  for (const operation of history) {
    if (operation.kind !== "revocation" || !operation.effective) continue;
    const key = `${operation.revision} ${operation.target}`;
    if (histories.fateOf(operation) === "lost") lost.add(key);
    else if (histories.restore !== undefined && operation.start > histories.restore.end) later.add(key);
  }
  const has = (keys: ReadonlySet<string>) =>
    watched.revocations.some(({ revision, targetId }) => keys.has(`${revision} ${targetId}`));
  return has(lost) && has(later) ? ["a stream went on in the restored log without saying so"] : [];
}

const scopes: Record<LogRow["scope"], RevocationScope> = {
  session: RevocationScope.SESSION,
  member: RevocationScope.MEMBER,
  organization: RevocationScope.ORGANIZATION,
  project: RevocationScope.PROJECT,
};

function isSame(received: WatchedLog["revocations"][number], row: LogRow): boolean {
  return (
    received.scope === scopes[row.scope] &&
    received.targetId === row.target_id &&
    received.exceptSessionId === (row.except_session_id ?? "")
  );
}
