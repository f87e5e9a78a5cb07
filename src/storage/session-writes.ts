import { type Kysely, sql } from "kysely";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../domain/ids.ts";
import type { CutoffTarget } from "../domain/revocation.ts";
import type { AuthenticationFactor, Session } from "../domain/session.ts";
import type { NewSession } from "../domain/store.ts";
import type { SecretHash } from "../domain/token.ts";
import { type SessionRow, newestCutoff, stateIs, toSession } from "./session-reads.ts";
import { columnsOf, livenessColumns, sessionColumns } from "./columns.ts";
import type { FactorJson, Tables } from "./tables.ts";

/**
 * Stores a session and its token, in one statement. The created revision is the project's as of that statement's snapshot:
 * a cutoff that commits later is greater, and so ends a login that was in flight.
 */
export async function createSession(
  db: Kysely<Tables>,
  session: NewSession,
  tokenHash: SecretHash,
): Promise<Session | undefined> {
  const { rows } = await sql<{ created_revision: number }>`
    with project as (
      select r.revision from project_revisions r
      join projects p on p.id = r.project_id and p.disable_time is null
      where r.project_id = ${session.projectId}
    ), session as (
      insert into sessions (project_id, id, member_id, organization_id, created_revision, create_time, last_access_time,
        expire_time, idle_timeout_ms, user_agent, ip_address, authentication_factors, roles, custom_claims)
      select ${session.projectId}, ${session.id}::uuid, ${session.memberId}, ${session.organizationId ?? null}, revision,
        ${session.createTime}::timestamptz, ${session.lastAccessTime}::timestamptz, ${session.expireTime}::timestamptz,
        ${session.idleTimeout ?? null}::bigint, ${session.device.userAgent}, ${session.device.ipAddress},
        ${JSON.stringify(session.authenticationFactors.map(toFactorJson))}::jsonb, ${session.roles}::text[],
        ${JSON.stringify(session.customClaims)}::jsonb
      from project
      returning created_revision
    ), token as (
      insert into session_tokens (project_id, hash, session_id, create_time)
      select ${session.projectId}, ${tokenHash}::bytea, ${session.id}::uuid, ${session.createTime}::timestamptz from session
    )
    select created_revision from session`.execute(db);
  const [row] = rows;
  return row && { ...session, createdRevision: row.created_revision, revocation: undefined };
}

function toFactorJson(factor: AuthenticationFactor): FactorJson {
  return {
    method: factor.method,
    delivery_method: factor.deliveryMethod,
    assurance_level: factor.assuranceLevel,
    authenticate_time: factor.authenticateTime.toISOString(),
  };
}

/** Moves the end of a session that is active at `now`. By sessions' primary key. */
export async function extendSession(
  db: Kysely<Tables>,
  projectId: ProjectId,
  id: SessionId,
  expireTime: Date,
  now: Date,
): Promise<Session | undefined> {
  const { rows } = await sql<Omit<SessionRow, "cutoff">>`
    update sessions set expire_time = ${expireTime}, last_access_time = greatest(sessions.last_access_time, ${now})
    from (
      select s.project_id, s.id from (
        select s.project_id, s.id, ${columnsOf("s", livenessColumns)}, ${newestCutoff} as cutoff
        from sessions s where s.project_id = ${projectId} and s.id = ${id}
      ) s where ${stateIs("active", now)}
    ) live
    where sessions.project_id = live.project_id and sessions.id = live.id and sessions.revoked_revision is null
    returning ${columnsOf("sessions", sessionColumns)}`.execute(db);
  const [row] = rows;
  return row && toSession(row, undefined);
}

/** An access to write down. */
export interface Access {
  readonly projectId: ProjectId;
  readonly id: SessionId;
  readonly time: Date;
}

/**
 * Writes accesses down. A row that somebody else has locked is passed over: the access will be noted the next time, and
 * nothing waits for it, so no deadlock with a revocation is possible.
 */
export async function recordAccesses(db: Kysely<Tables>, accesses: readonly Access[]): Promise<void> {
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
}

/** How many sessions within `target` are active at `now`. Grows with their number. */
export async function countActive(
  db: Kysely<Tables>,
  projectId: ProjectId,
  target: CutoffTarget,
  now: Date,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      select ${columnsOf("s", livenessColumns)}, ${newestCutoff} as cutoff from sessions s
      where s.project_id = ${projectId}
        ${target.scope === "member" ? sql`and s.member_id = ${target.id}` : sql``}
        ${target.scope === "organization" ? sql`and s.organization_id = ${target.id}` : sql``}
        ${target.except === undefined ? sql`` : sql`and s.id <> ${target.except}`}
    ) s where ${stateIs("active", now)}`.execute(db);
  return rows[0]?.count ?? 0;
}

/** Whether the member has sessions, and all of them in this organization. By sessions_by_member. */
export async function isMemberOf(
  db: Kysely<Tables>,
  projectId: ProjectId,
  memberId: MemberId,
  organizationId: OrganizationId,
): Promise<boolean> {
  const { rows } = await sql<{ within: boolean | null }>`
    select bool_and(organization_id is not distinct from ${organizationId}) as within from sessions
    where project_id = ${projectId} and member_id = ${memberId}`.execute(db);
  return rows[0]?.within ?? false;
}
