import { type Selectable, sql } from "kysely";
import type { ProjectId } from "../domain/ids.ts";
import {
  type ScheduledKey,
  type SigningKeyStore,
  type StoredSigningKey,
  maxListedKeys,
} from "../domain/keys/signing-key.ts";
import type { PageRequest } from "../domain/page.ts";
import { unlimited } from "../transport/call-context.ts";
import { type Batcher, lookups } from "./connection/batcher.ts";
import type { BatchQuery, Runners, StatementRunner } from "./connection/statement-runner.ts";
import { columnsOf, signingKeyColumns } from "./schema/columns.ts";
import type { Db, SigningKeysTable } from "./schema/tables.ts";

/** Signing keys in Postgres. Methods without a call do work that several calls share. */
export class PostgresSigningKeyStore implements SigningKeyStore {
  readonly #reads: StatementRunner;
  readonly #writes: StatementRunner;
  readonly #schedules: Batcher<
    { readonly projectId: ProjectId; readonly now: Date },
    readonly ScheduledKey[]
  >;
  readonly #lists: Batcher<ProjectId, readonly StoredSigningKey[]>;
  readonly #good: Batcher<{ readonly projectId: ProjectId; readonly kid: string }, boolean>;

  constructor({ reads, writes }: Runners) {
    this.#reads = reads;
    this.#writes = writes;
    this.#schedules = reads.batcher("signing keys", lookups, findSigningSchedules);
    this.#lists = reads.batcher("all signing keys", lookups, listAllSigningKeys);
    this.#good = reads.batcher("good signing keys", lookups, findGoodSigningKeys);
  }

  signingSchedule(projectId: ProjectId, now: Date, call = unlimited): Promise<readonly ScheduledKey[]> {
    return this.#schedules.submit({ projectId, now }, call);
  }

  isSigningKeyGood(projectId: ProjectId, kid: string, call = unlimited): Promise<boolean> {
    return this.#good.submit({ projectId, kid }, call);
  }

  listSigningKeys(projectId: ProjectId, call = unlimited): Promise<readonly StoredSigningKey[]> {
    return this.#lists.submit(projectId, call);
  }

  pageSigningKeys(projectId: ProjectId, { after, size }: PageRequest<string>, call = unlimited) {
    return this.#reads.run(call, async (db) => {
      const rows = await db
        .selectFrom("signing_keys")
        .select(signingKeyColumns)
        .where("project_id", "=", projectId)
        .$if(after !== undefined, (query) =>
          query.where(sql<boolean>`(create_time, kid) < (
            select create_time, kid from signing_keys where project_id = ${projectId} and kid = ${after})`),
        )
        .orderBy("create_time", "desc")
        .orderBy("kid", "desc")
        .limit(size + 1)
        .execute();
      return rows.map(toSigningKey);
    });
  }

  findSigningKey(projectId: ProjectId, kid: string): Promise<StoredSigningKey | undefined> {
    return this.#reads.run(unlimited, async (db) => {
      const row = await db
        .selectFrom("signing_keys")
        .select(signingKeyColumns)
        .where("project_id", "=", projectId)
        .where("kid", "=", kid)
        .executeTakeFirst();
      return row && toSigningKey(row);
    });
  }

  addFirstSigningKey(key: StoredSigningKey): Promise<void> {
    return this.#writes.run(unlimited, async (db) => {
      await insertFirstSigningKey(db, key);
    });
  }

  /**
   * Sets the retire time of the key that signs and adds its successor, in one statement: concurrent rotations wait for that row
   * and then find it retired. It waits for an update of the project too, and then finds it enabled or disabled.
   */
  addNextSigningKey(next: StoredSigningKey): Promise<void> {
    const row = toRow(next);
    return this.#writes.run(unlimited, async (db) => {
      await sql`
    with owner as (
      select id from projects where id = ${next.projectId} and disable_time is null for share
    ), closed as (
      update signing_keys set retire_time = ${next.activateTime} from owner
      where project_id = ${next.projectId} and retire_time is null and activate_time <= ${next.createTime}
      returning project_id
    )
    insert into signing_keys
      (project_id, kid, algorithm, public_jwk, sealed_private_key, master_key_id, create_time, activate_time)
    select project_id, ${row.kid}, ${row.algorithm}, ${row.public_jwk}::jsonb, ${row.sealed_private_key}::bytea,
      ${row.master_key_id}, ${row.create_time}::timestamptz, ${row.activate_time}::timestamptz
    from closed`.execute(db);
    });
  }

  keysNotWrappedWith(masterKeyId: string, now: Date, limit: number): Promise<readonly StoredSigningKey[]> {
    return this.#reads.run(unlimited, (db) => keysNotWrappedWith(db, masterKeyId, now, limit));
  }

  rewrapSigningKey(key: StoredSigningKey, masterKeyId: string): Promise<void> {
    return this.#writes.run(unlimited, async (db) => {
      await db
        .updateTable("signing_keys")
        .set({ sealed_private_key: key.sealedPrivateKey, master_key_id: key.masterKeyId })
        .where("project_id", "=", key.projectId)
        .where("kid", "=", key.kid)
        .where("master_key_id", "=", masterKeyId)
        .execute();
    });
  }
}

/** Stores `key` unless the project has an unrevoked key without an end; false then. */
export async function insertFirstSigningKey(db: Db, key: StoredSigningKey): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("signing_keys")
    .values(toRow(key))
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** Finds keys that sign at `now` or later and were not sealed with this master key. */
export async function keysNotWrappedWith(db: Db, masterKeyId: string, now: Date, limit: number) {
  const rows = await db
    .selectFrom("signing_keys")
    .select(signingKeyColumns)
    .where("master_key_id", "<>", masterKeyId)
    .where("revoke_time", "is", null)
    .where((where) => where.or([where("retire_time", "is", null), where("retire_time", ">", now)]))
    .limit(limit)
    .execute();
  return rows.map(toSigningKey);
}

/** Finds each project's keys that sign at `now` or later. By signing_keys' primary key, a few rows per project. */
const findSigningSchedules: BatchQuery<
  { readonly projectId: ProjectId; readonly now: Date },
  readonly ScheduledKey[]
> = async (db, asked) => {
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
  const schedules = asked.map((): ScheduledKey[] => []);
  for (const { place, kid, activate_time: activateTime, retire_time } of rows) {
    schedules[place - 1]?.push({ kid, activateTime, retireTime: retire_time ?? undefined });
  }
  return schedules;
};

/** Lists each project's keys, newest first. Calls for the same project share the array. */
const listAllSigningKeys: BatchQuery<ProjectId, readonly StoredSigningKey[]> = async (db, projectIds) => {
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
};

/** Whether each key exists and is not revoked. By signing_keys' primary key. */
const findGoodSigningKeys: BatchQuery<
  { readonly projectId: ProjectId; readonly kid: string },
  boolean
> = async (db, asked) => {
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
};

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
