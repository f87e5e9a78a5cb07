import { randomUUID } from "node:crypto";
import { type Transaction, sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import type { NewSigningKey } from "../../domain/keys/signing-key.ts";
import { jwtLifetimeBounds } from "../../domain/policy.ts";
import { type RevocationCommand, operatorActor } from "../../domain/revocation.ts";
import { openGate } from "../connection/server-guard.ts";
import { recordWithin } from "../revocations/writes.ts";
import type { Db, Tables } from "../schema/tables.ts";
import { insertFirstSigningKey } from "../signing-key-store.ts";

/** By how much a recovery raises the revision: more revocations than can have been lost with the log's end. */
const historyGap = 2 ** 40;

/** Reason of the revocations that a recovery records. */
export const recoveryReason = "recovered from a backup";

export interface ProjectRecoveryOptions {
  readonly recoveryId: string;
  readonly projectId: ProjectId;
  /** Whether the sessions of the backup stay active. */
  readonly keepSessions: boolean;
  /** Replaces the revoked signing keys, if there are any. Without it the next key is created on first use. */
  readonly newKey: NewSigningKey | undefined;
}

export interface RecoveredProject {
  /** Revision at which the new history starts. */
  readonly startRevision: number;
  readonly revokedKeys: readonly string[];
  /** Id of the key that signs from now on. */
  readonly newKey: string | undefined;
}

/**
 * Starts a new history of a project in one transaction, under the lock of its revocations: raises the revision above those of
 * lost revocations, revokes the sessions and signing keys that the backup holds, and deletes its creation requests, from which a
 * repeated login would get a session of the backup. Undefined if this recovery has done so before.
 */
export async function recoverProject(
  db: Db,
  options: ProjectRecoveryOptions,
): Promise<RecoveredProject | undefined> {
  return db.transaction().execute(async (transaction) => {
    const { projectId, keepSessions } = options;
    const startRevision = await claimProject(transaction, options);
    if (startRevision === undefined) return undefined;
    const time = await startHistory(transaction, projectId, startRevision);
    const revokedKeys = await goodKeys(transaction, projectId);
    const commands = [
      ...(keepSessions ? [] : [revoking(projectId, { scope: "project" }, time)]),
      ...revokedKeys.map((id) => revoking(projectId, { scope: "signing_key", id }, time)),
    ];
    if (commands.length > 0) await recordWithin(transaction, { projectId, commands, gate: openGate });
    const newKey = revokedKeys.length === 0 ? undefined : await addKey(transaction, options.newKey, time);
    await transaction.deleteFrom("creation_requests").where("project_id", "=", projectId).execute();
    return { startRevision, revokedKeys, newKey };
  });
}

/**
 * Locks the project's revocations and returns the revision at which its new history starts; undefined if this recovery has
 * recovered the project. Of two processes, the second waits here for the first.
 */
async function claimProject(db: Transaction<Tables>, { projectId, recoveryId }: ProjectRecoveryOptions) {
  const { rows } = await sql<{ revision: number }>`
    insert into project_recoveries (project_id, recovery_id, revision, recover_time)
    select project_id, ${recoveryId}::uuid, revision + ${historyGap}::bigint, now()
    from project_revisions where project_id = ${projectId} for update
    on conflict do nothing
    returning revision`.execute(db);
  return rows[0]?.revision;
}

/**
 * Starts a history without rows at `revision`. A policy that was lost may have allowed JWTs of any lifetime. Returns the
 * database's time.
 */
async function startHistory(db: Transaction<Tables>, projectId: ProjectId, revision: number): Promise<Date> {
  const id = randomUUID();
  const { time } = await db
    .updateTable("project_revisions")
    .set({
      revision,
      revision_id: id,
      start_revision: revision,
      start_id: id,
      longest_jwt_lifetime_ms: jwtLifetimeBounds.max,
    })
    .where("project_id", "=", projectId)
    .returning(sql<Date>`clock_timestamp()`.as("time"))
    .executeTakeFirstOrThrow();
  return time;
}

/** Every key that is not revoked, oldest first; retired ones too, because their revocation may be among what was lost. */
async function goodKeys(db: Transaction<Tables>, projectId: ProjectId): Promise<readonly string[]> {
  const rows = await db
    .selectFrom("signing_keys")
    .select("kid")
    .where("project_id", "=", projectId)
    .where("revoke_time", "is", null)
    .orderBy("create_time")
    .orderBy("kid")
    .execute();
  return rows.map(({ kid }) => kid);
}

/** Undefined without a key, or if a replica was faster. */
async function addKey(db: Transaction<Tables>, key: NewSigningKey | undefined, time: Date) {
  if (key === undefined) return undefined;
  const times = { createTime: time, activateTime: time, retireTime: undefined, revocation: undefined };
  return (await insertFirstSigningKey(db, { ...key, ...times })) ? key.kid : undefined;
}

function revoking(projectId: ProjectId, target: RevocationCommand["target"], time: Date): RevocationCommand {
  return {
    projectId,
    target,
    time,
    cause: "administration",
    reason: recoveryReason,
    actor: operatorActor,
    count: false,
  };
}
