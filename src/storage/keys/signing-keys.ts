import { type Kysely, type Selectable, sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import {
  type KeyInLine,
  type SigningKeyStore,
  type StoredSigningKey,
  maxListedKeys,
} from "../../domain/keys/signing-key.ts";
import { columnsOf, signingKeyColumns } from "../sessions/columns.ts";
import type { SigningKeysTable, Tables } from "../schema/tables.ts";

/** The part of the store that keeps signing keys, but for the batched look-ups. */
export function signingKeyStore(
  db: Kysely<Tables>,
): Omit<SigningKeyStore, "signingLine" | "isSigningKeyGood" | "listSigningKeys"> {
  return {
    findSigningKey: async (projectId, kid) => {
      const row = await db
        .selectFrom("signing_keys")
        .select(signingKeyColumns)
        .where("project_id", "=", projectId)
        .where("kid", "=", kid)
        .executeTakeFirst();
      return row && toSigningKey(row);
    },
    addFirstSigningKey: async (key) => {
      await db
        .insertInto("signing_keys")
        .values(toRow(key))
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    addNextSigningKey: (next) => addNextSigningKey(db, next),
    keysSealedOtherwise: async (masterKeyId, now, limit) => {
      const rows = await db
        .selectFrom("signing_keys")
        .select(signingKeyColumns)
        .where("master_key_id", "<>", masterKeyId)
        .where("revoke_time", "is", null)
        .where((where) => where.or([where("retire_time", "is", null), where("retire_time", ">", now)]))
        .limit(limit)
        .execute();
      return rows.map(toSigningKey);
    },
    resealSigningKey: async (key, masterKeyId) => {
      await db
        .updateTable("signing_keys")
        .set({ sealed_private_key: key.sealedPrivateKey, master_key_id: key.masterKeyId })
        .where("project_id", "=", key.projectId)
        .where("kid", "=", key.kid)
        .where("master_key_id", "=", masterKeyId)
        .execute();
    },
  };
}

/**
 * Whoever closes the time of the key that signs puts the next one after it, with one statement: others that try at the same
 * time wait for that row and find it closed.
 */
async function addNextSigningKey(db: Kysely<Tables>, next: StoredSigningKey): Promise<void> {
  const row = toRow(next);
  await sql`
    with closed as (
      update signing_keys set retire_time = ${next.activateTime}
      where project_id = ${next.projectId} and retire_time is null and activate_time <= ${next.createTime}
      returning project_id
    )
    insert into signing_keys
      (project_id, kid, algorithm, public_jwk, sealed_private_key, master_key_id, create_time, activate_time)
    select project_id, ${row.kid}, ${row.algorithm}, ${row.public_jwk}::jsonb, ${row.sealed_private_key}::bytea,
      ${row.master_key_id}, ${row.create_time}::timestamptz, ${row.activate_time}::timestamptz
    from closed`.execute(db);
}

/** Each project's keys that sign at `now` or later, at its place. By signing_keys' primary key, a few rows a project. */
export async function findSigningLines(
  db: Kysely<Tables>,
  asked: readonly { readonly projectId: ProjectId; readonly now: Date }[],
): Promise<readonly (readonly KeyInLine[])[]> {
  const { rows } = await sql<
    Pick<Selectable<SigningKeysTable>, "kid" | "activate_time" | "retire_time"> & { place: number }
  >`
    select q.place, k.kid, k.activate_time, k.retire_time
    from unnest(
      ${asked.map(({ projectId }) => projectId)}::text[],
      ${asked.map(({ now }) => now)}::timestamptz[]
    ) with ordinality as q (project_id, now, place)
    join signing_keys k on k.project_id = q.project_id
      and k.revoke_time is null and (k.retire_time is null or k.retire_time > q.now)
    order by k.activate_time`.execute(db);
  const lines = asked.map((): KeyInLine[] => []);
  for (const { place, kid, activate_time: activateTime, retire_time } of rows) {
    lines[place - 1]?.push({ kid, activateTime, retireTime: retire_time ?? undefined });
  }
  return lines;
}

/** Each project's keys, newest first, at its place. Who asks for the same project shares the array. */
export async function listAllSigningKeys(
  db: Kysely<Tables>,
  projectIds: readonly ProjectId[],
): Promise<readonly (readonly StoredSigningKey[])[]> {
  const byProject = new Map<ProjectId, StoredSigningKey[]>(projectIds.map((id) => [id, []]));
  const { rows } = await sql<Selectable<SigningKeysTable>>`
    select ${columnsOf("k", signingKeyColumns)}
    from unnest(${[...byProject.keys()]}::text[]) as q (project_id)
    cross join lateral (
      select ${columnsOf("l", signingKeyColumns)} from signing_keys l where l.project_id = q.project_id
      order by l.create_time desc, l.kid limit ${sql.lit(maxListedKeys)}
    ) k
    order by k.create_time desc, k.kid`.execute(db);
  for (const row of rows) byProject.get(row.project_id as ProjectId)?.push(toSigningKey(row));
  return projectIds.map((id) => byProject.get(id) ?? []);
}

/** Whether each key is there and not revoked, at its place. By signing_keys' primary key. */
export async function findGoodSigningKeys(
  db: Kysely<Tables>,
  asked: readonly { readonly projectId: ProjectId; readonly kid: string }[],
): Promise<readonly boolean[]> {
  const { rows } = await sql<{ place: number }>`
    select q.place
    from unnest(
      ${asked.map(({ projectId }) => projectId)}::text[], ${asked.map(({ kid }) => kid)}::text[]
    ) with ordinality as q (project_id, kid, place)
    join signing_keys k on k.project_id = q.project_id and k.kid = q.kid and k.revoke_time is null`.execute(
    db,
  );
  const good = new Set(rows.map(({ place }) => place - 1));
  return asked.map((_, i) => good.has(i));
}

function toRow(key: StoredSigningKey) {
  return {
    project_id: key.projectId,
    kid: key.kid,
    algorithm: key.algorithm,
    public_jwk: JSON.stringify(key.publicJwk),
    sealed_private_key: key.sealedPrivateKey,
    master_key_id: key.masterKeyId,
    create_time: key.createTime,
    activate_time: key.activateTime,
  };
}

function toSigningKey(row: Selectable<SigningKeysTable>): StoredSigningKey {
  const { revoke_time: time, revoke_revision: revision } = row;
  return {
    projectId: row.project_id as ProjectId,
    kid: row.kid,
    algorithm: row.algorithm,
    publicJwk: row.public_jwk,
    sealedPrivateKey: row.sealed_private_key,
    masterKeyId: row.master_key_id,
    createTime: row.create_time,
    activateTime: row.activate_time,
    retireTime: row.retire_time ?? undefined,
    revocation: time === null || revision === null ? undefined : { time, revision },
  };
}
