import { type RawBuilder, sql } from "kysely";
import type { SessionId } from "../../domain/ids.ts";
import { columnsOf, identityColumns, livenessColumns } from "../schema/columns.ts";
import { newestCutoff, stateIs } from "../sessions/liveness-sql.ts";
import type { Db } from "../schema/tables.ts";
import type { Horizon } from "./horizon.ts";

export interface SessionBatch {
  readonly sessions: number;
  readonly tokens: number;
  /** Sessions that were locked by other transactions. */
  readonly passedOver: number;
  /** The next batch starts after this session; undefined after the last one that can have ended before the horizon. */
  readonly next: SessionId | undefined;
}

/** An id before every session. */
export const firstSession = "00000000-0000-0000-0000-000000000000" as SessionId;

interface BatchRow {
  readonly visited: number;
  readonly ended: number;
  readonly sessions: number;
  readonly tokens: number;
  readonly id: SessionId | null;
  readonly create_time: Date | null;
}

/**
 * Reads the next `size` sessions after `after`, in the order of their creation, and deletes those that ended before the horizon,
 * with their tokens; with `dryRun` it only counts them. One statement, which locks only the rows that it deletes. It skips rows
 * that are locked, and checks a row again when it gets the lock. By the primary keys of sessions and cutoffs,
 * revocations_by_target and session_tokens_by_session.
 */
export async function purgeSessions(
  db: Db,
  horizon: Horizon,
  after: SessionId,
  size: number,
  dryRun: boolean,
): Promise<SessionBatch> {
  const { projectId } = horizon;
  const columns = columnsOf("s", [...identityColumns, ...livenessColumns]);
  const cutoff = newestCutoff({ projectId });
  const ids = (source: string) => sql`any(array(select id from ${sql.raw(source)}))`;
  const deleted = sql`
      select s.id from (
        select ${columns}, ${cutoff} as cutoff from sessions s
        where s.project_id = ${projectId} and s.id = any(array(select id from page where ended))
      ) s where ${hasEnded(horizon)} for update of s skip locked
    ), gone as (
      delete from sessions s where s.project_id = ${projectId} and s.id = ${ids("free")} returning s.id
    ), tokens as (
      delete from session_tokens t where t.project_id = ${projectId} and t.session_id = ${ids("gone")}
      returning t.session_id`;
  const counted = sql`
      select id from page where ended
    ), gone as (
      select id from free
    ), tokens as (
      select t.session_id from session_tokens t where t.project_id = ${projectId} and t.session_id = ${ids("gone")}`;
  const { rows } = await sql<BatchRow>`
    with page as materialized (
      select s.id, s.create_time, ${hasEnded(horizon)} as ended from (
        select ${columns}, s.create_time, ${cutoff} as cutoff from sessions s
        where s.project_id = ${projectId} and s.id > ${after} order by s.id limit ${size}
      ) s
    ), free as materialized (${dryRun ? counted : deleted})
    select (select count(*) from page) as visited, (select count(*) from page where ended) as ended,
      (select count(*) from gone) as sessions, (select count(*) from tokens) as tokens, last.id, last.create_time
    from (select) one left join (select id, create_time from page order by id desc limit 1) last on true`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the purge of sessions returned no row");
  const { visited, ended, sessions, tokens, id, create_time } = row;
  const isLast = visited < size || id === null || create_time === null || create_time > horizon.time;
  return { sessions, tokens, passedOver: ended - sessions, next: isLast ? undefined : id };
}

/** Whether session `s` ended before the horizon. A session that expired and was revoked later counts from its revocation. */
function hasEnded({ time, revision }: Horizon): RawBuilder<boolean> {
  const hitBy = (scope: string, target: RawBuilder<unknown>) => sql`
    exists (select from revocations r where r.project_id = s.project_id and r.scope = ${sql.lit(scope)}
      and r.target_id = ${target} and r.revision > s.created_revision and r.revision <= ${revision})`;
  return sql`(coalesce(s.revoked_revision <= ${revision}, false)
    or coalesce(s.cutoff > s.created_revision, false) and (${hitBy("member", sql`s.member_id`)}
      or ${hitBy("organization", sql`s.organization_id`)} or ${hitBy("project", sql`s.project_id`)})
    or ${stateIs("expired", time)} or ${stateIs("idle_expired", time)})`;
}
