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

/** Compares a stream with the acknowledged revocations of each history: it never goes from one to another without saying so. */
export function checkOneHistory(watched: WatchedLog, history: readonly Operation[]): readonly string[] {
  const histories = new Histories(history);
  if (histories.restore === undefined) return [];
  const numbers = new Map<string, number>();
  for (const operation of history) {
    if (operation.kind !== "revocation" || histories.fateOf(operation) === "unknown") continue;
    const number = histories.numberOf(operation);
    // What the restored database has is part of both.
    const isShared = number === 0 && histories.fateOf(operation) === "kept";
    if (number !== undefined && !isShared) numbers.set(`${operation.revision} ${operation.target}`, number);
  }
  const seen = new Set<number>();
  for (const { revision, targetId } of watched.revocations) {
    const number = numbers.get(`${revision} ${targetId}`);
    if (number !== undefined) seen.add(number);
  }
  return seen.size > 1 ? ["a stream went from one history of the log to another without saying so"] : [];
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
