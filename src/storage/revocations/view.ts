import { type Kysely, type RawBuilder, sql } from "kysely";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../../domain/ids.ts";
import type { OrderInView, SessionInView } from "../../domain/revocations/revocation-plan.ts";
import { type Revocation, type RevocationOrder, isCutoff } from "../../domain/revocations/revocation.ts";
import { columnsOf, identityColumns, livenessColumns } from "../sessions/columns.ts";
import { type DatedRow, firstRevocations, isDead, newestCutoff, sessionOf } from "../sessions/reads.ts";
import { findRevocationsOfKeys } from "./signing-key-revocations.ts";
import type { Tables } from "../schema/tables.ts";

/** What revocations of one project are planned on. */
export interface RevocationView {
  /** The project's revision. Every revocation changes it: while it stands, so does all that is in the view. */
  readonly revision: number;
  readonly orders: readonly OrderInView[];
  /** Whether a commit waits for a standby. */
  readonly hasStandby: boolean;
}

/** Reads what the orders name, in one snapshot with the project's revision or after it. */
export async function viewOf(
  db: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
): Promise<RevocationView> {
  const { revision, hasStandby, sessions } = await namedSessions(db, projectId, orders);
  const keys = await findRevocationsOfKeys(db, orders);
  return {
    revision,
    hasStandby,
    orders: orders.map((order, i) => ({ order, session: sessions[i], signingKey: keys[i] })),
  };
}

interface FoundRow extends DatedRow {
  readonly place: number;
}

/** Of a project none of whose named sessions is there, there is one row, without place. */
type NamedRow = { readonly revision: number; readonly has_standby: boolean } & (
  | FoundRow
  | { readonly place: null }
);

/**
 * The revision, and the session that each order ends or spares at its place. By the primary keys of project_revisions,
 * session_tokens, sessions and cutoffs.
 */
async function namedSessions(
  db: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
): Promise<{ revision: number; hasStandby: boolean; sessions: readonly (SessionInView | undefined)[] }> {
  const read = [...identityColumns, ...livenessColumns];
  const columns = columnsOf("s", read);
  const { rows } = await sql<NamedRow>`
    select p.revision, current_setting('synchronous_standby_names', true) <> '' as has_standby, s.place, ${columns}, s.cutoff
    from project_revisions p
    left join (
      select named.place, ${columns}, ${newestCutoff({ projectId })} as cutoff
      from (${namesIn(projectId, orders)}) named (id, place)
      cross join lateral ${sessionOf(sql`${projectId}`, sql`named.id`, read)} s
    ) s on true
    where p.project_id = ${projectId}`.execute(db);
  const [first] = rows;
  if (first === undefined) throw new Error(`there is no revision of project ${projectId}`);
  const found = rows.filter((row) => row.place !== null).filter((row) => !isSparedInVain(row, orders));
  const dead = found.filter(isDead);
  const revocations = await firstRevocations(db, dead);
  const sessions = Array.from<SessionInView | undefined>({ length: orders.length });
  for (const row of found) sessions[row.place] = toSessionInView(row, undefined);
  dead.forEach((row, i) => {
    const revocation = revocations[i];
    // Without one it has been purged since it was read.
    sessions[row.place] = revocation && toSessionInView(row, revocation);
  });
  return { revision: first.revision, hasStandby: first.has_standby, sessions };
}

/**
 * Whether a cutoff is to spare a session that is dead. It is as good as none, and nothing more is asked of it: the caller may not
 * know of it, and would learn from the time it takes.
 */
function isSparedInVain(row: FoundRow, orders: readonly RevocationOrder[]): boolean {
  const target = orders[row.place]?.target;
  return target !== undefined && isCutoff(target) && isDead(row);
}

/** The ids of sessions that the orders name, by id or by token, with the orders' places. */
function namesIn(projectId: ProjectId, orders: readonly RevocationOrder[]): RawBuilder<unknown> {
  const byId: { id: SessionId; place: number }[] = [];
  const byToken: { hash: Buffer; place: number }[] = [];
  for (const [place, { target }] of orders.entries()) {
    if (isCutoff(target)) {
      if (target.except !== undefined) byId.push({ id: target.except, place });
    } else if (target.scope === "signing_key") {
      continue;
    } else if ("id" in target) {
      byId.push({ id: target.id, place });
    }
    // A hash covers the tag of its token: one of another project is not found here.
    else {
      byToken.push({ hash: target.token.hash, place });
    }
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

function toSessionInView(row: FoundRow, revocation: Revocation | undefined): SessionInView {
  return {
    id: row.id as SessionId,
    memberId: row.member_id as MemberId,
    organizationId: (row.organization_id ?? undefined) as OrganizationId | undefined,
    createdRevision: row.created_revision,
    lastAccessTime: row.last_access_time,
    expireTime: row.expire_time,
    idleTimeout: row.idle_timeout_ms ?? undefined,
    revocation,
  };
}
