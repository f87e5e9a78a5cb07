import { type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../../domain/ids.ts";
import type { CutoffTarget, Revocation, SessionTarget } from "../../domain/revocations/revocation.ts";
import type { Session } from "../../domain/sessions/session.ts";
import type { FoundByToken, SessionOwner, SessionQuery } from "../../domain/store.ts";
import type { TokenRef } from "../../domain/sessions/token.ts";
import {
  columnsOf,
  identityColumns,
  type livenessColumns,
  revocationColumns,
  sessionColumns,
} from "./columns.ts";
import type { RevocationsTable, SessionsTable, Tables } from "../schema/tables.ts";

/**
 * The newest cutoff over session `s`; null when there is none. Three primary-key lookups: those of what all sessions of the
 * statement have in common are made once, the others for each.
 */
export function newestCutoff(common: Partial<Common> = {}): RawBuilder<number | null> {
  const { projectId, memberId, organizationId } = common;
  const project = projectId === undefined ? sql`s.project_id` : sql`${projectId}`;
  const member = memberId === undefined ? sql`s.member_id` : sql`${memberId}`;
  const organization = organizationId === undefined ? sql`s.organization_id` : sql`${organizationId}`;
  const over = (scope: CutoffTarget["scope"], target: RawBuilder<unknown>) => sql`
  (select c.revision from cutoffs c
    where c.project_id = ${project} and c.scope = ${sql.lit(scope)} and c.target_id = ${target})`;
  return sql`greatest(${over("member", member)}, ${over("organization", organization)}, ${over("project", project)})`;
}

/** Whose a session is. */
interface Common {
  readonly projectId: ProjectId;
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
}

type RevocationRow = Pick<Selectable<RevocationsTable>, (typeof revocationColumns)[number]>;

/** A session row with the newest cutoff over it. */
export type SessionRow = Pick<Selectable<SessionsTable>, (typeof sessionColumns)[number]> & WithCutoff;

/** What of a session row tells whose it is and whether it is dead or past its time. */
export type DatedRow = Pick<
  Selectable<SessionsTable>,
  (typeof identityColumns)[number] | (typeof livenessColumns)[number]
> &
  WithCutoff;

interface WithCutoff {
  readonly cutoff: number | null;
}

/** Whether a revocation has hit the session, by name or as a cutoff. */
export function isDead(row: Pick<DatedRow, "revoked_revision" | "created_revision" | "cutoff">): boolean {
  return row.revoked_revision !== null || (row.cutoff ?? 0) > row.created_revision;
}

/**
 * The columns of one session, to be joined laterally. `offset 0` has it looked up by itself: a plan made while there are few
 * sessions, which a prepared statement keeps for a while, would rather read all of the project.
 */
export function sessionOf(
  projectId: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  columns: readonly (keyof SessionsTable)[],
): RawBuilder<unknown> {
  return sql`(
      select ${columnsOf("s", columns)} from sessions s where s.project_id = ${projectId} and s.id = ${id} offset 0
    )`;
}

/** Names a session. */
export interface SessionKey {
  readonly projectId: ProjectId;
  readonly id: SessionId;
}

/** The session of each key, at the key's place. By sessions' primary key. */
export async function findByIds(
  db: Kysely<Tables>,
  keys: readonly SessionKey[],
): Promise<readonly (Session | undefined)[]> {
  const projectIds = keys.map((key) => key.projectId);
  const ids = keys.map((key) => key.id);
  const { rows } = await sql<SessionRow & { place: number }>`
    select ${columnsOf("s", sessionColumns)}, ${newestCutoff()} as cutoff, k.place
    from unnest(${projectIds}::text[], ${ids}::uuid[]) with ordinality as k (project_id, id, place)
    cross join lateral ${sessionOf(sql`k.project_id`, sql`k.id`, sessionColumns)} s`.execute(db);
  const sessions = await toSessions(db, rows);
  return atPlaces(keys.length, rows, (_, i) => sessions[i]);
}

/** The session of each token, at the token's place, and how a newer token has replaced it. By tokens' primary key. */
export async function findByTokens(
  db: Kysely<Tables>,
  tokens: readonly TokenRef[],
): Promise<readonly (FoundByToken | undefined)[]> {
  const tags = tokens.map((token) => token.tag);
  const hashes = tokens.map((token) => token.hash);
  const { rows } = await sql<
    SessionRow & { place: number; replace_time: Date | null; successor_salt: Buffer | null }
  >`
    select ${columnsOf("s", sessionColumns)}, ${newestCutoff()} as cutoff, k.place, t.replace_time, t.successor_salt
    from unnest(${tags}::text[], ${hashes}::bytea[]) with ordinality as k (tag, hash, place)
    cross join lateral (select id from projects where tag = k.tag offset 0) p
    cross join lateral (
      select session_id, replace_time, successor_salt from session_tokens
      where project_id = p.id and hash = k.hash offset 0
    ) t
    cross join lateral ${sessionOf(sql`p.id`, sql`t.session_id`, sessionColumns)} s`.execute(db);
  const sessions = await toSessions(db, rows);
  return atPlaces(tokens.length, rows, (row, i) => {
    const session = sessions[i];
    const { replace_time: time, successor_salt: salt } = row;
    return session && { session, replaced: time === null ? undefined : { time, salt: salt ?? undefined } };
  });
}

/** Names a session by its id or a token of it. */
export interface OwnedSession {
  readonly projectId: ProjectId;
  readonly target: SessionTarget;
}

/**
 * Whose session each is, at its place, dead or alive. One statement that reads the same for both, so that who may not know of a
 * session does not learn of it from the time that this takes. By the primary keys of sessions and tokens.
 */
export async function findOwners(
  db: Kysely<Tables>,
  named: readonly OwnedSession[],
): Promise<readonly (SessionOwner | undefined)[]> {
  const projectIds = named.map(({ projectId }) => projectId);
  const ids = named.map(({ target }) => ("id" in target ? target.id : null));
  const hashes = named.map(({ target }) => ("token" in target ? target.token.hash : null));
  const { rows } = await sql<Pick<SessionRow, "id" | "member_id" | "organization_id"> & { place: number }>`
    select ${columnsOf("s", ["id", "member_id", "organization_id"])}, k.place
    from unnest(${projectIds}::text[], ${ids}::uuid[], ${hashes}::bytea[]) with ordinality as k (project_id, id, hash, place)
    left join lateral (
      select session_id from session_tokens where project_id = k.project_id and hash = k.hash offset 0
    ) t on true
    cross join lateral ${sessionOf(sql`k.project_id`, sql`coalesce(k.id, t.session_id)`, identityColumns)} s`.execute(
    db,
  );
  return atPlaces(named.length, rows, (row) => ({
    id: row.id as SessionId,
    memberId: row.member_id as MemberId,
    organizationId: (row.organization_id ?? undefined) as OrganizationId | undefined,
  }));
}

/** A list of sessions, newest first. By sessions_by_member or sessions_by_organization. */
export async function listSessions(db: Kysely<Tables>, query: SessionQuery): Promise<readonly Session[]> {
  const { memberId, organizationId, state, page } = query;
  const { rows } = await sql<SessionRow>`
    select ${columnsOf("s", sessionColumns)}, s.cutoff from (
      select ${columnsOf("s", sessionColumns)}, ${newestCutoff(query)} as cutoff from sessions s
      where s.project_id = ${query.projectId}
        ${memberId === undefined ? sql`` : sql`and s.member_id = ${memberId}`}
        ${organizationId === undefined ? sql`` : sql`and s.organization_id = ${organizationId}`}
        ${page.after === undefined ? sql`` : sql`and s.id < ${page.after}`}) s
    ${state === undefined ? sql`` : sql`where ${stateIs(state, query.now)}`}
    order by s.id desc limit ${page.size + 1}`.execute(db);
  const sessions = await toSessions(db, rows);
  const found = sessions.filter((session) => session !== undefined);
  // With one that was purged meanwhile left out, the page would seem to be the last.
  return found.length < sessions.length ? listSessions(db, query) : found;
}

/** The condition under which row `s`, with its cutoff, is in `state` at `now`: `stateOf` of the domain, in SQL. */
export function stateIs(state: NonNullable<SessionQuery["state"]>, now: Date): RawBuilder<boolean> {
  const revoked = sql`(s.revoked_revision is not null or coalesce(s.cutoff > s.created_revision, false))`;
  const expired = sql`s.expire_time <= ${now}`;
  const idle = sql`coalesce(s.last_access_time + s.idle_timeout_ms * interval '1 millisecond' <= ${now}, false)`;
  switch (state) {
    case "revoked":
      return sql`${revoked}`;
    case "expired":
      return sql`not ${revoked} and ${expired}`;
    case "idle_expired":
      return sql`not ${revoked} and not ${expired} and ${idle}`;
    case "active":
      return sql`not ${revoked} and not ${expired} and not ${idle}`;
  }
}

/**
 * The rows as sessions, each dead one with the first revocation that hit it, undefined where it has been purged meanwhile; only
 * dead ones cost a second query.
 */
async function toSessions(
  db: Kysely<Tables>,
  rows: readonly SessionRow[],
): Promise<readonly (Session | undefined)[]> {
  const dead = rows.filter(isDead);
  const revocations = await firstRevocations(db, dead);
  const byRow = new Map(dead.map((row, i) => [row, revocations[i]]));
  return rows.map((row) => {
    const revocation = byRow.get(row);
    return byRow.has(row) && revocation === undefined ? undefined : toSession(row, revocation);
  });
}

/** Row to session. */
export function toSession(row: Omit<SessionRow, "cutoff">, revocation: Revocation | undefined): Session {
  return {
    projectId: row.project_id as ProjectId,
    id: row.id as SessionId,
    memberId: row.member_id as MemberId,
    organizationId: (row.organization_id ?? undefined) as OrganizationId | undefined,
    createdRevision: row.created_revision,
    createTime: row.create_time,
    lastAccessTime: row.last_access_time,
    expireTime: row.expire_time,
    idleTimeout: row.idle_timeout_ms ?? undefined,
    device: { userAgent: row.user_agent, ipAddress: row.ip_address },
    authenticationFactors: row.authentication_factors.map((factor) => ({
      method: factor.method,
      deliveryMethod: factor.delivery_method,
      assuranceLevel: factor.assurance_level,
      authenticateTime: new Date(factor.authenticate_time),
    })),
    roles: row.roles,
    customClaims: row.custom_claims,
    revocation,
  };
}

/**
 * The first revocation that hit each row, at its place, whatever its scope; nothing is asked where no row is dead. One
 * lookup a row by the primary key, and three by revocations_by_target. It stays the first for as long as the session is there,
 * so another snapshot than that of the rows will do; undefined where both have been purged since the row was read.
 */
export async function firstRevocations(
  db: Kysely<Tables>,
  dead: readonly DatedRow[],
): Promise<readonly (Revocation | undefined)[]> {
  if (dead.length === 0) return [];
  const firstOf = (scope: string, target: string) => sql`
    (select ${columnsOf("r", revocationColumns)} from revocations r
      where r.project_id = s.project_id and r.scope = ${sql.lit(scope)} and r.target_id = ${sql.raw(target)}
        and r.revision > s.created_revision
      order by r.revision limit 1)`;
  const { rows } = await sql<RevocationRow & { place: number }>`
    select s.place, ${columnsOf("first", revocationColumns)}
    from unnest(
      ${dead.map((row) => row.project_id)}::text[],
      ${dead.map((row) => row.member_id)}::text[],
      ${dead.map((row) => row.organization_id)}::text[],
      ${dead.map((row) => row.created_revision)}::bigint[],
      ${dead.map((row) => row.revoked_revision)}::bigint[]
    ) with ordinality as s (project_id, member_id, organization_id, created_revision, revoked_revision, place)
    cross join lateral (
      select ${columnsOf("hits", revocationColumns)} from (
        (select ${columnsOf("r", revocationColumns)} from revocations r
          where r.project_id = s.project_id and r.revision = s.revoked_revision) union all
        ${firstOf("member", "s.member_id")} union all
        ${firstOf("organization", "s.organization_id")} union all
        ${firstOf("project", "s.project_id")}) hits
      order by hits.revision limit 1) first`.execute(db);
  const revocations = atPlaces(dead.length, rows, (row) => ({
    revision: row.revision,
    scope: row.scope,
    time: row.revoke_time,
    cause: row.cause,
    reason: row.reason,
    actor: row.actor,
  }));
  const unexplained = dead.filter((_, i) => revocations[i] === undefined);
  if (unexplained.length > 0) await requirePurged(db, unexplained);
  return revocations;
}

/** Fails where one of these sessions is still there: a session is purged before the revocation that ended it. */
async function requirePurged(db: Kysely<Tables>, sessions: readonly DatedRow[]): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select s.id
    from unnest(${sessions.map((row) => row.project_id)}::text[], ${sessions.map((row) => row.id)}::uuid[])
      as k (project_id, id)
    cross join lateral ${sessionOf(sql`k.project_id`, sql`k.id`, ["id"])} s`.execute(db);
  const [left] = rows;
  if (left !== undefined) throw new Error(`session ${left.id} is dead, but no revocation in the log says so`);
}

/** Puts what was found at the place of what asked for it. Places count from 1, as ordinality does. */
function atPlaces<Row extends { place: number }, T>(
  length: number,
  rows: readonly Row[],
  toValue: (row: Row, index: number) => T | undefined,
): (T | undefined)[] {
  const places = Array.from<T | undefined>({ length });
  rows.forEach((row, i) => {
    places[row.place - 1] = toValue(row, i);
  });
  return places;
}
