import { type Selectable, sql } from "kysely";
import { columnsOf, revocationColumns } from "../schema/columns.ts";
import type { Db, RevocationsTable } from "../schema/tables.ts";
import { revocationAt, sessionOf } from "./liveness-sql.ts";
import { type LivenessRow, atPlaces, toActingUser } from "./rows.ts";

type RevocationRow = Pick<Selectable<RevocationsTable>, (typeof revocationColumns)[number]>;

/**
 * Finds the first revocation of each revoked session, of any scope. Per session one look-up by the primary key and three by
 * revocations_by_target. It stays the first while the session exists, so a later snapshot than that of the rows is good
 * enough; undefined if both have been purged since the row was read.
 */
export async function firstRevocations(db: Db, revoked: readonly LivenessRow[]) {
  if (revoked.length === 0) return [];
  const firstOf = (scope: string, target: string) => sql`
    (select ${columnsOf("r", revocationColumns)} from revocations r
      where r.project_id = s.project_id and r.scope = ${sql.lit(scope)} and r.target_id = ${sql.raw(target)}
        and r.revision > s.created_revision
      order by r.revision limit 1)`;
  const { rows } = await sql<RevocationRow & { place: number }>`
    select s.place, ${columnsOf("first", revocationColumns)}
    from unnest(
      ${revoked.map((row) => row.project_id)}::text[],
      ${revoked.map((row) => row.member_id)}::text[],
      ${revoked.map((row) => row.organization_id)}::text[],
      ${revoked.map((row) => row.created_revision)}::bigint[],
      ${revoked.map((row) => row.revoked_revision)}::bigint[]
    ) with ordinality as s (project_id, member_id, organization_id, created_revision, revoked_revision, place)
    cross join lateral (
      select ${columnsOf("hits", revocationColumns)} from (
        ${revocationAt(sql`s.project_id`, sql`s.revoked_revision`, revocationColumns)} union all
        ${firstOf("member", "s.member_id")} union all
        ${firstOf("organization", "s.organization_id")} union all
        ${firstOf("project", "s.project_id")}) hits
      order by hits.revision limit 1) first`.execute(db);
  const revocations = atPlaces(revoked.length, rows, (row) => ({
    revision: row.revision,
    scope: row.scope,
    time: row.revoke_time,
    cause: row.cause,
    reason: row.reason,
    actor: row.actor,
    actingUser: toActingUser(row.acting_user),
  }));
  const unexplained = revoked.filter((_, i) => revocations[i] === undefined);
  if (unexplained.length > 0) await requirePurged(db, unexplained);
  return revocations;
}

/** Fails if one of these sessions still exists: a session is purged before the revocation that ended it. */
async function requirePurged(db: Db, sessions: readonly LivenessRow[]): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select s.id
    from unnest(${sessions.map((row) => row.project_id)}::text[], ${sessions.map((row) => row.id)}::uuid[])
      as k (project_id, id)
    cross join lateral ${sessionOf(sql`k.project_id`, sql`k.id`, ["id"])} s`.execute(db);
  const [left] = rows;
  if (left !== undefined) {
    throw new Error(`session ${left.id} is revoked, but there is no revocation in the log`);
  }
}
