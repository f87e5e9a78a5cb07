import { type RawBuilder, type Selectable, sql } from "kysely";
import type { ProjectId, RevocationId, SessionId } from "../../domain/ids.ts";
import type { LogBounds } from "../../domain/revocations/history.ts";
import type { Position } from "../../domain/revocations/position.ts";
import type { LogHead, LogPage, LoggedRevocation } from "../../domain/revocations/revocation-log.ts";
import { columnsOf, watchedColumns } from "../schema/columns.ts";
import { revocationAt } from "../sessions/liveness-sql.ts";
import type { Db, RevocationsTable } from "../schema/tables.ts";

type WatchedRow = Pick<Selectable<RevocationsTable>, (typeof watchedColumns)[number]>;
type Row = { [Column in keyof WatchedRow]: WatchedRow[Column] | null };

interface BoundsRow {
  readonly head: number;
  readonly head_id: RevocationId;
  readonly start: number;
  readonly start_id: RevocationId;
}

const bounds = sql`p.revision as head, p.revision_id as head_id, p.start_revision as start, p.start_id`;

/**
 * Reads up to `limit` revocations after revision `after`, with the id there and the bounds of the log, in one snapshot. By the
 * primary keys of project_revisions and revocations: the row of `after`, if the log has it, is the first one of the range.
 */
export async function readRevocations(
  db: Db,
  projectId: ProjectId,
  after: number,
  limit: number,
): Promise<LogPage> {
  const { rows } = await sql<Row & BoundsRow>`
    select ${bounds}, ${columnsOf("r", watchedColumns)}
    from project_revisions p
    left join lateral (
      select ${columnsOf("log", watchedColumns)} from revocations log
      where log.project_id = p.project_id and log.revision >= ${after} order by log.revision limit ${limit + 1}
    ) r on true
    where p.project_id = ${projectId}
    order by r.revision`.execute(db);
  const log = boundsOf(rows[0], projectId);
  const found = rows.flatMap((row) => (isPresent(row) ? [toLogged(row)] : []));
  const before = found[0]?.revision === after ? found[0] : undefined;
  const revocations = before === undefined ? found.slice(0, limit) : found.slice(1);
  return { ...log, revocations, idBefore: idAt(log, after, before?.id) };
}

/** Reads the bounds of the log, the id at a revision, and the ids of recoveries, in one snapshot. By primary keys. */
export async function readHead(db: Db, projectId: ProjectId, at: number): Promise<LogHead> {
  const { rows } = await sql<BoundsRow & { id: RevocationId | null; recovery_ids: string[] }>`
    select ${bounds}, r.id,
      array(select recovery_id from project_recoveries where project_id = p.project_id
        order by recover_time desc) as recovery_ids
    from project_revisions p
    left join lateral ${revocationAt(sql`p.project_id`, sql`${at}::bigint`, ["id"])} r on true
    where p.project_id = ${projectId}`.execute(db);
  const [row] = rows;
  const log = boundsOf(row, projectId);
  return { ...log, idAt: idAt(log, at, row?.id ?? undefined), recoveryIds: row?.recovery_ids ?? [] };
}

function boundsOf(row: BoundsRow | undefined, projectId: ProjectId): LogBounds {
  if (row === undefined) throw new Error(`project ${projectId} has no revision`);
  return {
    head: { revision: row.head, id: row.head_id },
    start: { revision: row.start, id: row.start_id },
  };
}

/** The id at a revision. The start of the history has no row; that of the head may have been lost with a part of the log. */
function idAt({ head, start }: LogBounds, revision: number, id: RevocationId | undefined) {
  return id ?? [head, start].find((bound) => bound.revision === revision)?.id;
}

/** Reads the position of a revision, which the statement computes from `p`: the start, which has no row, or a retained revocation. */
async function readPosition(db: Db, projectId: ProjectId, revision: RawBuilder<unknown>): Promise<Position> {
  const { rows } = await sql<Position>`
    select at.revision,
      case at.revision when p.start_revision then p.start_id when p.revision then p.revision_id else r.id end as id
    from project_revisions p
    cross join lateral (select ${revision} as revision offset 0) at
    left join lateral ${revocationAt(sql`p.project_id`, sql`at.revision`, ["id"])} r on true
    where p.project_id = ${projectId}`.execute(db);
  const [position] = rows;
  if (position === undefined) throw new Error(`project ${projectId} has no revision`);
  return position;
}

/**
 * The first position of the history after which the log is complete: its start, or the oldest retained revocation. The purge
 * keeps the one that precedes those that it had to keep.
 */
export function oldestResumable(db: Db, projectId: ProjectId): Promise<Position> {
  return readPosition(
    db,
    projectId,
    sql`coalesce(
      (select case when r.revision <= p.start_revision + 1 then p.start_revision else r.revision end
        from revocations r where r.project_id = p.project_id order by r.revision limit 1),
      p.revision)`,
  );
}

/**
 * The position of the history after which all revocations lie that are still relevant at `now`. By revocations_by_matter_until:
 * `offset 0` keeps the planner from scanning the log from its start.
 */
export function oldestRelevant(db: Db, projectId: ProjectId, now: Date): Promise<Position> {
  return readPosition(
    db,
    projectId,
    sql`greatest(p.start_revision, coalesce(
      (select min(relevant.revision) - 1 from (
        select revision from revocations where project_id = p.project_id and matter_until_time > ${now} offset 0
      ) relevant),
      p.revision))`,
  );
}

function isPresent(row: Row): row is WatchedRow {
  return row.revision !== null;
}

export function toLogged(row: WatchedRow): LoggedRevocation {
  return {
    revision: row.revision,
    id: row.id as RevocationId,
    scope: row.scope,
    targetId: row.target_id,
    exceptSessionId: (row.except_session_id ?? undefined) as SessionId | undefined,
    time: row.revoke_time,
    cause: row.cause,
    relevantUntil: row.matter_until_time,
  };
}
