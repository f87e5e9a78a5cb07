import { type RawBuilder, sql } from "kysely";
import type { ProjectId, SessionId } from "../../domain/ids.ts";
import type { PlannedInput, SessionSnapshot } from "../../domain/revocations/revocation-plan.ts";
import { type Revocation, type RevocationCommand, isCutoff } from "../../domain/revocation.ts";
import { columnsOf, identityColumns, livenessColumns } from "../schema/columns.ts";
import type { Db } from "../schema/tables.ts";
import { firstRevocations } from "../sessions/first-revocation.ts";
import { newestCutoff, sessionOf } from "../sessions/liveness-sql.ts";
import { type LivenessRow, isRevoked, toOwner } from "../sessions/rows.ts";
import { findRevocationsOfKeys } from "./signing-key-revocations.ts";

/** What the revocations of one project are planned from. */
export interface RevocationSnapshot {
  /** The project's revision. Every revocation changes it, so the snapshot is current while the revision is. */
  readonly revision: number;
  readonly inputs: readonly PlannedInput[];
  /** Whether commits wait for a standby. */
  readonly hasStandby: boolean;
}

interface FoundRow extends LivenessRow {
  readonly place: number;
}

/** If none of the named sessions exists, there is one row without a place. */
type NamedRow = { readonly revision: number; readonly has_standby: boolean } & (
  | FoundRow
  | { readonly place: null }
);

/**
 * Reads the revision, and in the same snapshot the session that each command ends or exempts; then its signing key. By the
 * primary keys of project_revisions, session_tokens, sessions, cutoffs and signing_keys.
 */
export async function readSnapshot(
  db: Db,
  projectId: ProjectId,
  commands: readonly RevocationCommand[],
): Promise<RevocationSnapshot> {
  const read = [...identityColumns, ...livenessColumns];
  const columns = columnsOf("s", read);
  const { rows } = await sql<NamedRow>`
    select p.revision, current_setting('synchronous_standby_names', true) <> '' as has_standby, s.place, ${columns}, s.cutoff
    from project_revisions p
    left join (
      select named.place, ${columns}, ${newestCutoff({ projectId })} as cutoff
      from (${namesIn(projectId, commands)}) named (id, place)
      cross join lateral ${sessionOf(sql`${projectId}`, sql`named.id`, read)} s
    ) s on true
    where p.project_id = ${projectId}`.execute(db);
  const [first] = rows;
  if (first === undefined) throw new Error(`project ${projectId} has no revision`);
  const found = rows
    .filter((row) => row.place !== null)
    .filter((row) => !isExemptedInVain(row, commands[row.place]));
  const revoked = found.filter(isRevoked);
  const revocations = await firstRevocations(db, revoked);
  const sessions = Array.from<SessionSnapshot | undefined>({ length: commands.length });
  for (const row of found) sessions[row.place] = toSnapshot(row, undefined);
  for (const [i, row] of revoked.entries()) {
    const revocation = revocations[i];
    // Undefined if it was purged after the row was read.
    sessions[row.place] = revocation && toSnapshot(row, revocation);
  }
  const keys = await findRevocationsOfKeys(db, commands);
  const inputs = commands.map((command, i) => ({ command, session: sessions[i], signingKey: keys[i] }));
  return { revision: first.revision, hasStandby: first.has_standby, inputs };
}

/**
 * Whether a cutoff exempts a session that is revoked. It counts as unknown and nothing more is read about it, because the
 * caller may not be allowed to know of it and could measure the time.
 */
function isExemptedInVain(row: FoundRow, command: RevocationCommand | undefined): boolean {
  return command !== undefined && isCutoff(command.target) && isRevoked(row);
}

/** The ids of sessions that the commands name, by id or by token, with the commands' places. */
function namesIn(projectId: ProjectId, commands: readonly RevocationCommand[]): RawBuilder<unknown> {
  const byId: { id: SessionId; place: number }[] = [];
  const byToken: { hash: Buffer; place: number }[] = [];
  for (const [place, { target }] of commands.entries()) {
    if (target.scope === "signing_key") continue;
    // The hash covers the tag of the token, so a token of another project is not found here.
    if ("token" in target) byToken.push({ hash: target.token.hash, place });
    const id = isCutoff(target) ? target.except : "id" in target ? target.id : undefined;
    if (id !== undefined) byId.push({ id, place });
  }
  const ids = sql`
    select id, place from unnest(${byId.map(({ id }) => id)}::uuid[], ${byId.map(({ place }) => place)}::int[])
      as k (id, place)`;
  const tokens = sql`
    select t.session_id, k.place
    from unnest(${byToken.map(({ hash }) => hash)}::bytea[], ${byToken.map(({ place }) => place)}::int[])
      as k (hash, place)
    cross join lateral (
      select session_id from session_tokens where project_id = ${projectId} and hash = k.hash offset 0
    ) t`;
  if (byToken.length === 0) return ids;
  return byId.length === 0 ? sql`${tokens}` : sql`${ids} union all ${tokens}`;
}

function toSnapshot(row: FoundRow, revocation: Revocation | undefined): SessionSnapshot {
  return {
    ...toOwner(row),
    createdRevision: row.created_revision,
    lastAccessTime: row.last_access_time,
    expireTime: row.expire_time,
    idleTimeout: row.idle_timeout_ms ?? undefined,
    revocation,
  };
}
