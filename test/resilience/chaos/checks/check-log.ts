import { RevocationScope } from "../../../../gen/session/v1/session_service_pb.ts";
import { type Operation, type Revocation, reaches } from "../history.ts";
import { RevisionOrder, revisionOf } from "./revision-order.ts";
import type { Lineage } from "../watcher.ts";

/** A row of `revocations`. */
export interface LogRow {
  readonly revision: number;
  readonly scope: "session" | "member" | "organization" | "project";
  readonly target_id: string;
  readonly except_session_id: string | null;
}

/** Compares what was acknowledged with what is stored at the end. Each line says one thing that is wrong. */
export function checkStored(
  history: readonly Operation[],
  log: readonly LogRow[],
  sessions: ReadonlyMap<string, "alive" | "dead">,
  projectId: string,
): readonly string[] {
  const rows = new Map(log.map((row) => [row.revision, row]));
  const wrong: string[] = [];
  log.forEach(({ revision }, i) => {
    const expected = (log[0]?.revision ?? 1) + i;
    if (revision !== expected) wrong.push(`the log has revision ${revision} where ${expected} should be`);
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
      wrong.push(`revision ${revision} (${scope} ${target}) is not in the log`);
    }
  }
  const ghosts = log.filter(({ revision }) => !acknowledged.has(revision)).length;
  if (ghosts > unknown) wrong.push(`${ghosts} rows of the log are nobody's, ${unknown} outcomes are unknown`);
  return [...wrong, ...checkSessions(history, log, sessions)];
}

/** Every acknowledged session is there, and dead if, and only if, the log reaches it. */
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
    const killer = keys
      .flatMap((key) => byTarget.get(key) ?? [])
      .find(
        ({ revision, scope, target_id: target, except_session_id: except }) =>
          revision > createdRevision &&
          reaches({ scope, target, ...(except === null ? {} : { except }) }, operation),
      );
    const expected = killer === undefined ? "alive" : "dead";
    const stored = sessions.get(session) ?? "missing";
    return stored === expected ? [] : [`session ${session} is ${stored}, by the log it is ${expected}`];
  });
}

/** Compares what a watcher received with the log: each once, in order, none missing, and nothing claimed that was not so. */
export function checkLineage(
  lineage: Lineage,
  log: readonly LogRow[],
  history: readonly Operation[],
): readonly string[] {
  const rows = new Map(log.map((row) => [row.revision, row]));
  const wrong: string[] = [];
  lineage.revocations.forEach((received, i) => {
    const expected = lineage.from + 1 + i;
    const row = rows.get(expected);
    if (Number(received.revision) !== expected) {
      wrong.push(`received revision ${received.revision} where ${expected} should be`);
    }
    // Rows that were purged since cannot be compared.
    else if (row !== undefined && !isSame(received, row)) {
      wrong.push(`received revision ${expected} with wrong contents`);
    }
  });
  const known = history.filter(
    (operation): operation is Revocation =>
      operation.kind === "revocation" && operation.effective && operation.revision !== undefined,
  );
  const order = new RevisionOrder(known);
  for (const { asOf, revision } of lineage.claims) {
    const returned = revisionOf(order.newestReturnedBefore(asOf));
    if (returned > revision) {
      wrong.push(`claimed revision ${revision} to be the newest when ${returned} had returned already`);
    }
  }
  return wrong;
}

const scopes: Record<LogRow["scope"], RevocationScope> = {
  session: RevocationScope.SESSION,
  member: RevocationScope.MEMBER,
  organization: RevocationScope.ORGANIZATION,
  project: RevocationScope.PROJECT,
};

function isSame(received: Lineage["revocations"][number], row: LogRow): boolean {
  return (
    received.scope === scopes[row.scope] &&
    received.targetId === row.target_id &&
    received.exceptSessionId === (row.except_session_id ?? "")
  );
}
