import { sql } from "kysely";
import type { BatchQuery } from "../connection/statement-runner.ts";
import type { ProjectId, SessionId } from "../../domain/ids.ts";
import type { SessionTarget } from "../../domain/revocation.ts";
import type { Session } from "../../domain/sessions/session.ts";
import type { FoundByToken, SessionOwner, SessionQuery } from "../../domain/store/session-store.ts";
import type { TokenRef } from "../../domain/token.ts";
import { columnsOf, identityColumns, sessionColumns } from "../schema/columns.ts";
import type { Db } from "../schema/tables.ts";
import { firstRevocations } from "./first-revocation.ts";
import { newestCutoff, sessionOf, stateIs } from "./liveness-sql.ts";
import { type SessionRow, atPlaces, isRevoked, toOwner, toSession } from "./rows.ts";

export interface SessionKey {
  readonly projectId: ProjectId;
  readonly id: SessionId;
}

/** Finds the session of each key. By sessions' primary key. */
export const findByIds: BatchQuery<SessionKey, Session | undefined> = async (db, keys) => {
  const projectIds = keys.map((key) => key.projectId);
  const ids = keys.map((key) => key.id);
  const { rows } = await sql<SessionRow & { place: number }>`
    select ${columnsOf("s", sessionColumns)}, ${newestCutoff()} as cutoff, k.place
    from unnest(${projectIds}::text[], ${ids}::uuid[]) with ordinality as k (project_id, id, place)
    cross join lateral ${sessionOf(sql`k.project_id`, sql`k.id`, sessionColumns)} s`.execute(db);
  const sessions = await toSessions(db, rows);
  return atPlaces(keys.length, rows, (_, i) => sessions[i]);
};

/** Finds the session of each token, and whether a newer token replaced it. By tokens' primary key. */
export const findByTokens: BatchQuery<TokenRef, FoundByToken | undefined> = async (db, tokens) => {
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
};

/** Names a session by its id or a token of it. */
export interface OwnedSession {
  readonly projectId: ProjectId;
  readonly target: SessionTarget;
}

/**
 * Finds the member of each session, revoked or not. One statement that reads the same for both, so that its duration does not
 * reveal a session's state. By the primary keys of sessions and tokens.
 */
export const findOwners: BatchQuery<OwnedSession, SessionOwner | undefined> = async (db, named) => {
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
  return atPlaces(named.length, rows, toOwner);
};

/** Lists sessions, newest first. By sessions_by_member or sessions_by_organization. */
export async function listSessions(db: Db, query: SessionQuery): Promise<readonly Session[]> {
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
  // Without the sessions that were purged meanwhile, the page would look like the last one: read it again.
  return found.length < sessions.length ? listSessions(db, query) : found;
}

/**
 * Makes sessions of rows, each revoked one with its first revocation; undefined if that was purged meanwhile. Only revoked
 * sessions cost a second query.
 */
async function toSessions(db: Db, rows: readonly SessionRow[]): Promise<readonly (Session | undefined)[]> {
  const revoked = rows.filter(isRevoked);
  const revocations = await firstRevocations(db, revoked);
  const byRow = new Map(revoked.map((row, i) => [row, revocations[i]]));
  return rows.map((row) => {
    const revocation = byRow.get(row);
    return byRow.has(row) && revocation === undefined ? undefined : toSession(row, revocation);
  });
}
