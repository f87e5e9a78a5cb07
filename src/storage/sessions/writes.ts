import { sql } from "kysely";
import type { BatchQuery } from "../connection/statement-runner.ts";
import type { MemberId, OrganizationId, ProjectId } from "../../domain/ids.ts";
import type { CutoffTarget } from "../../domain/revocation.ts";
import type { TokenReplacement } from "../../domain/store/session-store.ts";
import type { SessionKey } from "./reads.ts";
import { newestCutoff, stateIs } from "./liveness-sql.ts";
import { type SessionRow, toSession } from "./rows.ts";
import { columnsOf, livenessColumns, sessionColumns } from "../schema/columns.ts";
import type { Db } from "../schema/tables.ts";

/** Extends a session that is active at `now`; an earlier end changes nothing. By sessions' primary key. */
export async function extendSession(db: Db, { projectId, id }: SessionKey, expireTime: Date, now: Date) {
  const { rows } = await sql<Omit<SessionRow, "cutoff">>`
    update sessions set expire_time = greatest(sessions.expire_time, ${expireTime}), last_access_time = greatest(
      sessions.last_access_time, case when sessions.expire_time < ${expireTime} then ${now}::timestamptz end)
    from (
      select s.project_id, s.id from (
        select s.project_id, s.id, ${columnsOf("s", livenessColumns)}, ${newestCutoff({ projectId })} as cutoff
        from sessions s where s.project_id = ${projectId} and s.id = ${id}
      ) s where ${stateIs("active", now)}
    ) live
    where sessions.project_id = live.project_id and sessions.id = live.id and sessions.revoked_revision is null
    returning ${columnsOf("sessions", sessionColumns)}`.execute(db);
  const [row] = rows;
  return row && toSession(row, undefined);
}

export interface Access extends SessionKey {
  readonly time: Date;
}

/**
 * Records accesses. Skips rows that are locked: the next access is recorded instead, and no deadlock with a revocation is
 * possible.
 */
export const recordAccesses: BatchQuery<Access, undefined> = async (db, accesses) => {
  await sql`
    with access as (
      select project_id, id, max(time) as time
      from unnest(
        ${accesses.map((access) => access.projectId)}::text[],
        ${accesses.map((access) => access.id)}::uuid[],
        ${accesses.map((access) => access.time)}::timestamptz[]
      ) as a (project_id, id, time)
      group by project_id, id
    ), free as (
      select s.project_id, s.id, access.time from sessions s
      join access on access.project_id = s.project_id and access.id = s.id
      where s.last_access_time < access.time
      for update of s skip locked
    )
    update sessions s set last_access_time = free.time from free
    where s.project_id = free.project_id and s.id = free.id`.execute(db);
  return accesses.map(() => undefined);
};

export interface CountQuery {
  readonly projectId: ProjectId;
  readonly target: CutoffTarget;
  readonly now: Date;
}

/** Counts the sessions within `target` that are active at `now`. Its cost grows with their number. */
export async function countActive(db: Db, { projectId, target, now }: CountQuery): Promise<number> {
  const memberId = target.scope === "member" ? target.id : undefined;
  const organizationId = target.scope === "organization" ? target.id : undefined;
  const common = { projectId, memberId, organizationId };
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      select ${columnsOf("s", livenessColumns)}, ${newestCutoff(common)} as cutoff from sessions s
      where s.project_id = ${projectId}
        ${memberId === undefined ? sql`` : sql`and s.member_id = ${memberId}`}
        ${organizationId === undefined ? sql`` : sql`and s.organization_id = ${organizationId}`}
        ${target.except === undefined ? sql`` : sql`and s.id <> ${target.except}`}
    ) s where ${stateIs("active", now)}`.execute(db);
  return rows[0]?.count ?? 0;
}

/** Whether the member has sessions, and all of them in this organization. By sessions_by_member. */
export async function isMemberOf(
  db: Db,
  projectId: ProjectId,
  memberId: MemberId,
  organizationId: OrganizationId,
): Promise<boolean> {
  const { rows } = await sql<{ within: boolean | null }>`
    select bool_and(organization_id is not distinct from ${organizationId}) as within from sessions
    where project_id = ${projectId} and member_id = ${memberId}`.execute(db);
  return rows[0]?.within ?? false;
}

/** How many replaced tokens of a session are kept, to recognise them. */
const rememberedTokens = 1000;

/**
 * Replaces a token; false if it was replaced before. The row lock on the old token decides between concurrent rotations. Deletes
 * the session's oldest tokens beyond {@link rememberedTokens}. By tokens' primary key and session_tokens_replaced.
 */
export async function replaceToken(db: Db, { projectId, hash, salt, successor, time }: TokenReplacement) {
  const { rows } = await sql`
    with replaced as (
      update session_tokens set replace_time = ${time}, successor_salt = ${salt}
      where project_id = ${projectId} and hash = ${hash} and replace_time is null
      returning session_id
    ), successor as (
      insert into session_tokens (project_id, hash, session_id, create_time)
      select ${projectId}, ${successor}::bytea, session_id, ${time}::timestamptz from replaced
    ), forgotten as (
      delete from session_tokens
      where project_id = ${projectId} and session_id = (select session_id from replaced) and replace_time < (
        select replace_time from session_tokens
        where project_id = ${projectId} and session_id = (select session_id from replaced) and replace_time is not null
        order by replace_time desc offset ${sql.lit(rememberedTokens - 2)} limit 1)
    )
    select session_id from replaced`.execute(db);
  return rows.length > 0;
}
