import { type Kysely, type Transaction, sql } from "kysely";
import type { ProjectId } from "../domain/ids.ts";
import {
  type OrderInView,
  type PlannedRevocation,
  type RevocationPlan,
  planRevocations,
} from "../domain/revocation-plan.ts";
import { type RevocationOrder, type RevocationReceipt, isCutoff } from "../domain/revocation.ts";
import type { Session } from "../domain/session.ts";
import { type SessionKey, findByIds, findByTokens } from "./session-reads.ts";
import { revocationChannel } from "./revocation-listener.ts";
import { findRevocationsOfKeys, refuseSigningKey } from "./signing-key-revocations.ts";
import type { Tables } from "./tables.ts";

/**
 * Records a batch of revocations of one project in one transaction. The lock on the project's revision comes first: what is
 * read after it cannot be changed by another revocation, and commits follow each other in the order of their revisions.
 * Answers each order at its place; undefined where it names a session that is not there.
 */
export function recordRevocations(
  db: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
  notify: boolean,
): Promise<readonly (RevocationReceipt | undefined)[]> {
  return db.transaction().execute(async (transaction) => {
    const { revision } = await transaction
      .selectFrom("project_revisions")
      .select("revision")
      .where("project_id", "=", projectId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const plan = planRevocations(await viewOf(transaction, orders), revision);
    if (plan.log.length > 0) await write(transaction, projectId, plan, notify);
    return plan.receipts;
  });
}

async function viewOf(
  db: Transaction<Tables>,
  orders: readonly RevocationOrder[],
): Promise<readonly OrderInView[]> {
  const sessions = await namedSessions(db, orders);
  const keys = await findRevocationsOfKeys(db, orders);
  return orders.map((order, i) => ({ order, session: sessions[i], signingKey: keys[i] }));
}

/** The session that each order ends or spares. */
async function namedSessions(
  db: Transaction<Tables>,
  orders: readonly RevocationOrder[],
): Promise<readonly (Session | undefined)[]> {
  const sessions = Array.from<Session | undefined>({ length: orders.length });
  const byId: { place: number; key: SessionKey }[] = [];
  const byToken: { place: number; token: Parameters<typeof findByTokens>[1][number] }[] = [];
  for (const [place, { projectId, target }] of orders.entries()) {
    if (isCutoff(target)) {
      if (target.except !== undefined) byId.push({ place, key: { projectId, id: target.except } });
    } else if (target.scope === "signing_key") continue;
    else if ("id" in target) byId.push({ place, key: { projectId, id: target.id } });
    else byToken.push({ place, token: target.token });
  }
  if (byId.length > 0) {
    const found = await findByIds(
      db,
      byId.map(({ key }) => key),
    );
    byId.forEach(({ place }, i) => (sessions[place] = found[i]));
  }
  if (byToken.length > 0) {
    const found = await findByTokens(
      db,
      byToken.map(({ token }) => token),
    );
    byToken.forEach(
      ({ place }, i) => (sessions[place] = withinProject(found[i]?.session, orders[place]?.projectId)),
    );
  }
  return sessions;
}

/** A token of another project names no session here. */
function withinProject(session: Session | undefined, projectId: ProjectId | undefined): Session | undefined {
  return session?.projectId === projectId ? session : undefined;
}

/** Covers calls that found a session alive just before its revocation and signed its JWT just after, and skewed clocks. */
const signingMargin = "1 minute";

/** Whoever has a leaked key signs with any expiry; what bounds it is how long a verifier may go on with a JWKS from before. */
const leakedKeyMatters = "1 day";

/** Writes a plan with one statement, whatever its size; with at most one notification, which takes a lock on the database. */
async function write(
  db: Transaction<Tables>,
  projectId: ProjectId,
  plan: RevocationPlan,
  notify: boolean,
): Promise<void> {
  const { log } = plan;
  const cutoffs = newestCutoffs(log);
  const touched = [...new Set([...plan.spared.keys(), ...plan.ended.keys()])];
  await sql`
    with counter as (
      update project_revisions set revision = ${log.at(-1)?.revision} where project_id = ${projectId}
    ), logged as (
      insert into revocations
        (project_id, revision, scope, target_id, except_session_id, revoke_time, cause, reason, actor, matter_until_time)
      select ${projectId}, log.*, log.revoke_time + case when log.scope = 'signing_key'
        then ${leakedKeyMatters}::interval
        else ${signingMargin}::interval
          + (select longest_jwt_lifetime_ms from projects where id = ${projectId}) * interval '1 millisecond' end
      from unnest(
        ${log.map(({ revision }) => revision)}::bigint[],
        ${log.map(({ order }) => order.target.scope)}::text[],
        ${log.map(({ targetId }) => targetId)}::text[],
        ${log.map(({ spared }) => spared ?? null)}::uuid[],
        ${log.map(({ order }) => order.time)}::timestamptz[],
        ${log.map(({ order }) => order.cause)}::text[],
        ${log.map(({ order }) => order.reason)}::text[],
        ${log.map(({ order }) => order.actor)}::text[]
      ) as log (revision, scope, target_id, except_session_id, revoke_time, cause, reason, actor)
    ), cut as (
      insert into cutoffs (project_id, scope, target_id, revision)
      select ${projectId}, * from unnest(
        ${cutoffs.map(({ order }) => order.target.scope)}::text[],
        ${cutoffs.map(({ targetId }) => targetId)}::text[],
        ${cutoffs.map(({ revision }) => revision)}::bigint[])
      on conflict (project_id, scope, target_id) do update set revision = excluded.revision
    ), touched as (
      update sessions s set
        created_revision = coalesce(k.spared_revision, s.created_revision),
        revoked_revision = coalesce(k.ended_revision, s.revoked_revision)
      from unnest(
        ${touched}::uuid[],
        ${touched.map((id) => plan.spared.get(id) ?? null)}::bigint[],
        ${touched.map((id) => plan.ended.get(id) ?? null)}::bigint[]) as k (id, spared_revision, ended_revision)
      where s.project_id = ${projectId} and s.id = k.id
    )
    select ${notify ? sql`pg_notify(${revocationChannel}, ${projectId})` : sql`1`}`.execute(db);
  for (const refused of plan.refusedKeys.values()) await refuseSigningKey(db, refused);
}

/** The last cutoff of each target: an earlier one in the same batch is outdone by it. */
function newestCutoffs(log: readonly PlannedRevocation[]): readonly PlannedRevocation[] {
  const newest = new Map<string, PlannedRevocation>();
  for (const planned of log) {
    const { target } = planned.order;
    if (isCutoff(target)) newest.set(`${target.scope}/${planned.targetId}`, planned);
  }
  return [...newest.values()];
}
