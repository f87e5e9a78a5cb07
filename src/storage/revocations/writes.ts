import { type Kysely, type RawBuilder, sql } from "kysely";
import type { ProjectId, SessionId } from "../../domain/ids.ts";
import {
  type PlannedRevocation,
  type RevocationPlan,
  planRevocations,
} from "../../domain/revocations/revocation-plan.ts";
import {
  type RevocationOrder,
  type RevocationReceipt,
  isCutoff,
} from "../../domain/revocations/revocation.ts";
import { revocationChannel } from "./listener.ts";
import { viewOf } from "./view.ts";
import { refuseSigningKey } from "./signing-key-revocations.ts";
import type { Tables } from "../schema/tables.ts";

type Receipts = readonly (RevocationReceipt | undefined)[];

/**
 * Records a batch of revocations of one project. Answers each order at its place; undefined where it names a session or
 * signing key that is not there.
 *
 * First without a lock: what the orders name is read, and written with one statement that does nothing unless the project's
 * revision is still the one that was read. Every revocation changes it, so none can have come between; and the row lock that
 * the statement takes lasts only until its own commit, whatever else this process is busy with. Where another replica came
 * between, the lock is taken first: nobody loses twice. So it is with signing keys, whose refusal takes several statements.
 */
export async function recordRevocations(
  db: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
  notify: boolean,
): Promise<Receipts> {
  const hasKeys = orders.some(({ target }) => target.scope === "signing_key");
  const receipts = hasKeys ? undefined : await tryToRecord(db, projectId, orders, notify);
  if (receipts !== undefined) return receipts;
  return db.transaction().execute((transaction) => recordLocked(transaction, projectId, orders, notify));
}

/** Records revocations of sessions in a transaction that does more: the project's lock is held from here to its end. */
export async function recordWithin(
  transaction: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
  notify: boolean,
): Promise<Receipts> {
  const receipts = await tryToRecord(transaction, projectId, orders, notify);
  return receipts ?? recordLocked(transaction, projectId, orders, notify);
}

async function recordLocked(
  transaction: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
  notify: boolean,
): Promise<Receipts> {
  await lockRevision(transaction, projectId);
  const recorded = await tryToRecord(transaction, projectId, orders, notify);
  if (recorded === undefined) throw new Error(`the revision of project ${projectId} changed under its lock`);
  return recorded;
}

/** Holds up the project's revocations until the transaction ends. */
export async function lockRevision(transaction: Kysely<Tables>, projectId: ProjectId): Promise<void> {
  await transaction
    .selectFrom("project_revisions")
    .select("revision")
    .where("project_id", "=", projectId)
    .forUpdate()
    .execute();
}

/** Undefined, and nothing written, when a revocation of somebody else came between. */
async function tryToRecord(
  db: Kysely<Tables>,
  projectId: ProjectId,
  orders: readonly RevocationOrder[],
  notify: boolean,
): Promise<Receipts | undefined> {
  const view = await viewOf(db, projectId, orders);
  const plan = planRevocations(view.orders, view.revision);
  if (plan.log.length === 0) {
    const isRepeat = plan.receipts.some((receipt) => receipt !== undefined);
    if (isRepeat && view.hasStandby) await confirmEarlier(db, projectId);
    return plan.receipts;
  }
  if (!(await write(db, projectId, view.revision, plan, notify))) return undefined;
  for (const refused of plan.refusedKeys.values()) await refuseSigningKey(db, refused);
  return plan.receipts;
}

/**
 * Resolves once everything that was committed to the project is on the standby too. What a crash or an operator kept from
 * waiting for it is there to be read, and an answer that repeats it must not promise more than the first one could. The
 * commit of any write waits for all before it; this one changes nothing.
 */
async function confirmEarlier(db: Kysely<Tables>, projectId: ProjectId): Promise<void> {
  await sql`update project_revisions set revision = revision where project_id = ${projectId}`.execute(db);
}

/** Covers calls that found a session alive just before its revocation and signed its JWT just after, and skewed clocks. */
const signingMargin = "1 minute";

/** Whoever has a leaked key signs with any expiry; what bounds it is how long a verifier may go on with a JWKS from before. */
const leakedKeyMatters = "1 day";

/**
 * Writes a plan with one statement, whatever its size, if the project's revision is still `planned`; says whether. Everything
 * comes from the row of the counter, so nothing happens without it. At most one notification, which takes a lock on the
 * database.
 */
async function write(
  db: Kysely<Tables>,
  projectId: ProjectId,
  planned: number,
  plan: RevocationPlan,
  notify: boolean,
): Promise<boolean> {
  const parts = [counted(projectId, planned, plan), logged(projectId, plan)];
  if (plan.ended.size + plan.spared.size > 0) parts.push(touched(projectId, plan));
  const cutoffs = newestCutoffs(plan.log);
  if (cutoffs.length > 0) parts.push(cut(projectId, cutoffs));
  const { rows } = await sql`
    with ${sql.join(parts)}
    select ${notify ? sql`pg_notify(${revocationChannel}, ${projectId})` : sql`1`} from counter`.execute(db);
  return rows.length > 0;
}

/**
 * Waits for whoever holds the lock and then looks at the row that they left, unlike the rest of the statement, which sees
 * what was there when it began: so the longest lifetime of a JWT is kept in this row.
 */
function counted(projectId: ProjectId, planned: number, { log }: RevocationPlan): RawBuilder<unknown> {
  return sql`counter as (
      update project_revisions set revision = ${log.at(-1)?.revision}
      where project_id = ${projectId} and revision = ${planned}
      returning longest_jwt_lifetime_ms
    )`;
}

/** A policy that the version before has made longer is told by projects alone. */
function logged(projectId: ProjectId, { log }: RevocationPlan): RawBuilder<unknown> {
  return sql`logged as (
      insert into revocations
        (project_id, revision, scope, target_id, except_session_id, revoke_time, cause, reason, actor, matter_until_time)
      select ${projectId}, log.revision, log.scope, log.target_id, log.except_session_id, log.revoke_time, log.cause,
        log.reason, log.actor, log.revoke_time + case when log.scope = 'signing_key'
          then ${leakedKeyMatters}::interval
          else ${signingMargin}::interval + interval '1 millisecond' * greatest(counter.longest_jwt_lifetime_ms,
            (select longest_jwt_lifetime_ms from projects where id = ${projectId})) end
      from counter, unnest(
        ${log.map(({ revision }) => revision)}::bigint[],
        ${log.map(({ order }) => order.target.scope)}::text[],
        ${log.map(({ targetId }) => targetId)}::text[],
        ${log.map(({ spared }) => spared ?? null)}::uuid[],
        ${log.map(({ order }) => order.time)}::timestamptz[],
        ${log.map(({ order }) => order.cause)}::text[],
        ${log.map(({ order }) => order.reason)}::text[],
        ${log.map(({ order }) => order.actor)}::text[]
      ) as log (revision, scope, target_id, except_session_id, revoke_time, cause, reason, actor)
    )`;
}

/** Not a join, for which a plan made while there are few sessions would read all of the project. */
function touched(projectId: ProjectId, { ended, spared }: RevocationPlan): RawBuilder<unknown> {
  const ids = [...new Set([...spared.keys(), ...ended.keys()])];
  const revisionIn = (revisions: ReadonlyMap<SessionId, number>) =>
    sql`(${ids.map((id) => revisions.get(id) ?? null)}::bigint[])[array_position(${ids}::uuid[], id)]`;
  const sparing = sql`created_revision = coalesce(${revisionIn(spared)}, created_revision),`;
  return sql`touched as (
      update sessions set ${spared.size > 0 ? sparing : sql``}
        revoked_revision = coalesce(${revisionIn(ended)}, revoked_revision)
      where project_id = ${projectId} and id = any(${ids}::uuid[]) and exists (select from counter)
    )`;
}

function cut(projectId: ProjectId, cutoffs: readonly PlannedRevocation[]): RawBuilder<unknown> {
  return sql`cut as (
      insert into cutoffs (project_id, scope, target_id, revision)
      select ${projectId}, k.scope, k.target_id, k.revision
      from counter, unnest(
        ${cutoffs.map(({ order }) => order.target.scope)}::text[],
        ${cutoffs.map(({ targetId }) => targetId)}::text[],
        ${cutoffs.map(({ revision }) => revision)}::bigint[]) as k (scope, target_id, revision)
      on conflict (project_id, scope, target_id) do update set revision = excluded.revision
    )`;
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
