import { type Selectable, sql } from "kysely";
import type { ProjectId, SessionId } from "../../domain/ids.ts";
import type { LoggedRevocation } from "../../domain/revocations/revocation-log.ts";
import { columnsOf, watchedColumns } from "../schema/columns.ts";
import type { Db, RevocationsTable } from "../schema/tables.ts";

type WatchedRow = Pick<Selectable<RevocationsTable>, (typeof watchedColumns)[number]>;
type Row = { [Column in keyof WatchedRow]: WatchedRow[Column] | null };

/**
 * Reads up to `limit` revocations after revision `after`, and the newest revision, in one snapshot. By the primary keys of
 * project_revisions and revocations.
 */
export async function readRevocations(db: Db, projectId: ProjectId, after: number, limit: number) {
  const { rows } = await sql<Row & { head: number }>`
    select p.revision as head, ${columnsOf("r", watchedColumns)}
    from project_revisions p
    left join lateral (
      select ${columnsOf("log", watchedColumns)} from revocations log
      where log.project_id = p.project_id and log.revision > ${after} order by log.revision limit ${limit}
    ) r on true
    where p.project_id = ${projectId}
    order by r.revision`.execute(db);
  const revocations = rows.flatMap((row) => (isPresent(row) ? [toLogged(row)] : []));
  return { revocations, head: rows[0]?.head ?? 0 };
}

/** The first revision after which the log is complete. */
export async function oldestResumable(db: Db, projectId: ProjectId): Promise<number> {
  const { rows } = await sql<{ revision: number }>`
    select coalesce(
      (select revision - 1 from revocations where project_id = p.project_id order by revision limit 1),
      p.revision) as revision
    from project_revisions p where p.project_id = ${projectId}`.execute(db);
  return rows[0]?.revision ?? 0;
}

/**
 * The revision after which all revocations lie that are still relevant at `now`. By revocations_by_matter_until: `offset 0`
 * keeps the planner from scanning the log from its start.
 */
export async function oldestRelevantRevision(db: Db, projectId: ProjectId, now: Date): Promise<number> {
  const { rows } = await sql<{ revision: number }>`
    select coalesce(
      (select min(relevant.revision) - 1 from (
        select revision from revocations where project_id = p.project_id and matter_until_time > ${now} offset 0
      ) relevant),
      p.revision) as revision
    from project_revisions p where p.project_id = ${projectId}`.execute(db);
  return rows[0]?.revision ?? 0;
}

function isPresent(row: Row): row is WatchedRow {
  return row.revision !== null;
}

export function toLogged(row: WatchedRow): LoggedRevocation {
  return {
    revision: row.revision,
    scope: row.scope,
    targetId: row.target_id,
    exceptSessionId: (row.except_session_id ?? undefined) as SessionId | undefined,
    time: row.revoke_time,
    cause: row.cause,
    relevantUntil: row.matter_until_time,
  };
}
