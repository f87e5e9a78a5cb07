import { sql } from "kysely";
import type { PlannedRevocation } from "../../domain/revocations/revocation-plan.ts";
import type { RevocationCommand } from "../../domain/revocation.ts";
import type { Db } from "../schema/tables.ts";

/** Finds the state of the signing key that each command names; undefined if it names none, or none that exists. */
export async function findRevocationsOfKeys(db: Db, commands: readonly RevocationCommand[]) {
  const named = commands.map(({ projectId, target }) =>
    target.scope === "signing_key" ? { projectId, kid: target.id } : undefined,
  );
  const keys = named.filter((key) => key !== undefined);
  if (keys.length === 0) return [];
  const { rows } = await sql<{ kid: string; revoke_time: Date | null; revoke_revision: number | null }>`
    select kid, revoke_time, revoke_revision from signing_keys
    where project_id = ${keys[0]?.projectId} and kid = any(${keys.map(({ kid }) => kid)}::text[])`.execute(
    db,
  );
  const byKid = new Map(rows.map((row) => [row.kid, row]));
  return named.map((key) => {
    const row = key && byKid.get(key.kid);
    if (row === undefined) return undefined;
    const { revoke_revision: revision, revoke_time: time } = row;
    return { revocation: revision === null || time === null ? undefined : { revision, time } };
  });
}

/**
 * Refuses a key from now on. If it is the signing key, its successor takes over now; if it is the successor, the signing key
 * stays. Runs under the lock on the project's revision, as every revocation.
 */
export async function refuseSigningKey(db: Db, { revision, command, targetId: kid }: PlannedRevocation) {
  const { projectId, time } = command;
  const { rows } = await sql<{ activate_time: Date; retire_time: Date | null }>`
    update signing_keys k
    set revoke_time = ${time}, revoke_revision = ${revision},
      retire_time = least(k.retire_time, greatest(k.activate_time, ${time}))
    from (select activate_time, retire_time from signing_keys
      where project_id = ${projectId} and kid = ${kid} for update) before
    where k.project_id = ${projectId} and k.kid = ${kid}
    returning before.activate_time, before.retire_time`.execute(db);
  const [before] = rows;
  if (before === undefined) throw new Error(`signing key ${kid} disappeared under its project's lock`);
  const successor = sql`project_id = ${projectId} and activate_time = ${before.retire_time} and revoke_time is null`;
  const predecessor = sql`project_id = ${projectId} and retire_time = ${before.activate_time} and revoke_time is null`;
  if (before.activate_time > time) {
    await sql`update signing_keys set retire_time = ${before.retire_time} where ${predecessor}`.execute(db);
  } else if (before.retire_time !== null && before.retire_time > time) {
    await sql`update signing_keys set activate_time = ${time} where ${successor}`.execute(db);
  }
}
