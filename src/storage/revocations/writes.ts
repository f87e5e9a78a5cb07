import { randomUUID } from "node:crypto";
import { type RawBuilder, sql } from "kysely";
import type { ProjectId, RevocationId, SessionId } from "../../domain/ids.ts";
import type { Position } from "../../domain/revocations/position.ts";
import {
  type PlannedRevocation,
  type RevocationPlan,
  planRevocations,
} from "../../domain/revocations/revocation-plan.ts";
import { type RevocationCommand, type RevocationReceipt, isCutoff } from "../../domain/revocation.ts";
import type { CommitGate } from "../connection/server-guard.ts";
import { jwtRelevanceMarginMs } from "../../jwt/claims.ts";
import { readSnapshot } from "./snapshot.ts";
import { refuseSigningKey } from "./signing-key-revocations.ts";
import type { Db } from "../schema/tables.ts";

/** Revocations of one project. */
export interface RevocationBatch {
  readonly projectId: ProjectId;
  readonly commands: readonly RevocationCommand[];
  readonly gate: CommitGate;
}

export interface RecordedBatch {
  readonly receipts: readonly (RevocationReceipt | undefined)[];
  /** The newest revocation that the batch has written; undefined if it has written none. */
  readonly head: Position | undefined;
}

/** Called with the newest revocation of each commit, before it is answered. */
export type OnRevocations = (projectId: ProjectId, head: Position) => void;

/**
 * Records a batch of revocations. A receipt is undefined if the session or signing key does not exist.
 *
 * The first attempt takes no lock: it reads a snapshot, and writes with one statement that does nothing unless the project's
 * revision is still that of the snapshot. Its row lock lasts until its own commit, however busy this process is. If another
 * replica was faster, the second attempt takes the lock first. So does the revocation of a signing key, which takes several
 * statements.
 */
export async function recordRevocations(db: Db, batch: RevocationBatch): Promise<RecordedBatch> {
  const hasKeys = batch.commands.some(({ target }) => target.scope === "signing_key");
  const recorded = hasKeys ? undefined : await tryToRecord(db, batch);
  return recorded ?? db.transaction().execute((transaction) => recordLocked(transaction, batch));
}

/** Records revocations of sessions in a larger transaction, which holds the project's lock from here to its end. */
export async function recordWithin(transaction: Db, batch: RevocationBatch): Promise<RecordedBatch> {
  return (await tryToRecord(transaction, batch)) ?? recordLocked(transaction, batch);
}

/** Blocks the project's other revocations until the transaction ends. */
async function recordLocked(transaction: Db, batch: RevocationBatch): Promise<RecordedBatch> {
  await transaction
    .selectFrom("project_revisions")
    .select("revision")
    .where("project_id", "=", batch.projectId)
    .forUpdate()
    .execute();
  const recorded = await tryToRecord(transaction, batch);
  if (recorded === undefined) {
    throw new Error(`the revision of project ${batch.projectId} changed under its lock`);
  }
  return recorded;
}

/** Undefined, and nothing written, if another revocation was recorded since the snapshot. */
async function tryToRecord(db: Db, batch: RevocationBatch): Promise<RecordedBatch | undefined> {
  const { projectId, commands } = batch;
  const { revision, hasStandby, inputs } = await readSnapshot(db, projectId, commands);
  const plan = planRevocations(inputs, revision);
  if (plan.log.length === 0) {
    const isRepeat = plan.receipts.some((receipt) => receipt !== undefined);
    if (isRepeat && hasStandby) await confirmEarlier(db, projectId);
    return { receipts: plan.receipts, head: undefined };
  }
  const head = await write(db, batch, revision, plan);
  if (head === undefined) return undefined;
  for (const refused of plan.refusedKeys.values()) await refuseSigningKey(db, refused);
  return { receipts: plan.receipts, head };
}

/**
 * Waits until all earlier commits of the project have reached the synchronous standby. A repeated revocation must not
 * acknowledge a commit whose own wait for the standby was interrupted. A no-op write is enough: its commit waits for
 * everything before it.
 */
async function confirmEarlier(db: Db, projectId: ProjectId): Promise<void> {
  await sql`update project_revisions set revision = revision where project_id = ${projectId}`.execute(db);
}

/** A leaked key can sign with any expiry. The bound is how long a verifier may use a JWKS from before. */
const leakedKeyRelevance = "1 day";

/**
 * Writes a plan of any size with one statement, and returns the new head; undefined, and nothing written, if the project's
 * revision is not `planned` any more. All parts read from the updated counter row.
 */
async function write(
  db: Db,
  batch: RevocationBatch,
  planned: number,
  plan: RevocationPlan,
): Promise<Position | undefined> {
  const { projectId, gate } = batch;
  const ids = plan.log.map(() => randomUUID() as RevocationId);
  const parts = [counted(projectId, planned, plan, ids), logged(projectId, plan, ids)];
  if (plan.ended.size + plan.exempted.size > 0) parts.push(touched(projectId, plan));
  const cutoffs = newestCutoffs(plan.log);
  if (cutoffs.length > 0) parts.push(cut(projectId, cutoffs));
  const { rows } = await sql<{ timeline: string | null }>`
    with ${sql.join(parts)}
    select ${gate.timeline} as timeline from counter`.execute(db);
  const [written] = rows;
  const [last, id] = [plan.log.at(-1), ids.at(-1)];
  if (written === undefined || last === undefined || id === undefined) return undefined;
  gate.written(written.timeline);
  return { revision: last.revision, id };
}

/**
 * Waits for the row lock and then reads the newest version of the row. The rest of the statement reads the snapshot of its
 * start; therefore the longest lifetime of a JWT is kept in this row.
 */
function counted(
  projectId: ProjectId,
  planned: number,
  { log }: RevocationPlan,
  ids: readonly string[],
): RawBuilder<unknown> {
  return sql`counter as (
      update project_revisions set revision = ${log.at(-1)?.revision}, revision_id = ${ids.at(-1)}
      where project_id = ${projectId} and revision = ${planned}
      returning longest_jwt_lifetime_ms
    )`;
}

function logged(projectId: ProjectId, { log }: RevocationPlan, ids: readonly string[]): RawBuilder<unknown> {
  return sql`logged as (
      insert into revocations
        (project_id, revision, id, scope, target_id, except_session_id, revoke_time, cause, reason, actor, acting_user,
          member_id, organization_id, matter_until_time)
      select ${projectId}, log.revision, log.id, log.scope, log.target_id, log.except_session_id, log.revoke_time, log.cause,
        log.reason, log.actor, log.acting_user, log.member_id, log.organization_id, greatest(clock_timestamp(), log.revoke_time) + case when log.scope = 'signing_key'
          then ${leakedKeyRelevance}::interval
          else interval '1 millisecond' * (${jwtRelevanceMarginMs} + counter.longest_jwt_lifetime_ms) end
      from counter, unnest(
        ${log.map(({ revision }) => revision)}::bigint[],
        ${ids}::uuid[],
        ${log.map(({ command }) => command.target.scope)}::text[],
        ${log.map(({ targetId }) => targetId)}::text[],
        ${log.map(({ exceptSessionId }) => exceptSessionId ?? null)}::uuid[],
        ${log.map(({ command }) => command.time)}::timestamptz[],
        ${log.map(({ command }) => command.cause)}::text[],
        ${log.map(({ command }) => command.reason)}::text[],
        ${log.map(({ command }) => command.actor)}::text[],
        ${log.map(({ command }) => command.actingUser ?? "")}::text[],
        ${log.map(({ session }) => session?.memberId ?? null)}::text[],
        ${log.map(({ session }) => session?.organizationId ?? null)}::text[]
      ) as log (revision, id, scope, target_id, except_session_id, revoke_time, cause, reason, actor, acting_user, member_id,
        organization_id)
    )`;
}

/** Ends single sessions. Not a join: a plan made while there are few sessions would read the whole project. */
function touched(projectId: ProjectId, { ended, exempted }: RevocationPlan): RawBuilder<unknown> {
  const ids = [...new Set([...exempted.keys(), ...ended.keys()])];
  const revisionIn = (revisions: ReadonlyMap<SessionId, number>) =>
    sql`(${ids.map((id) => revisions.get(id) ?? null)}::bigint[])[array_position(${ids}::uuid[], id)]`;
  const exempting = sql`created_revision = coalesce(${revisionIn(exempted)}, created_revision),`;
  return sql`touched as (
      update sessions set ${exempted.size > 0 ? exempting : sql``}
        revoked_revision = coalesce(${revisionIn(ended)}, revoked_revision)
      where project_id = ${projectId} and id = any(${ids}::uuid[]) and exists (select from counter)
    )`;
}

/**
 * Ends all sessions of a member, an organization or the project, of which it writes no row: `sessions/liveness-sql.ts` compares
 * each session with its cutoffs.
 */
function cut(projectId: ProjectId, cutoffs: readonly PlannedRevocation[]): RawBuilder<unknown> {
  return sql`cut as (
      insert into cutoffs (project_id, scope, target_id, revision)
      select ${projectId}, k.scope, k.target_id, k.revision
      from counter, unnest(
        ${cutoffs.map(({ command }) => command.target.scope)}::text[],
        ${cutoffs.map(({ targetId }) => targetId)}::text[],
        ${cutoffs.map(({ revision }) => revision)}::bigint[]) as k (scope, target_id, revision)
      on conflict (project_id, scope, target_id) do update set revision = excluded.revision
    )`;
}

/** The last cutoff of each target. It includes earlier ones of the batch. */
function newestCutoffs(log: readonly PlannedRevocation[]): readonly PlannedRevocation[] {
  const newest = new Map<string, PlannedRevocation>();
  for (const planned of log) {
    const { target } = planned.command;
    if (isCutoff(target)) newest.set(`${target.scope}/${planned.targetId}`, planned);
  }
  return [...newest.values()];
}
