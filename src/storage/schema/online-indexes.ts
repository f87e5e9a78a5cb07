import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import type { Db } from "./tables.ts";

/** A random key, which other users of advisory locks are unlikely to use. */
const lockKey = 7_364_218_905_113;

/** Milliseconds between attempts to take the lock. */
const interval = 200;

/**
 * Builds missing indexes concurrently with writes, one after the other. An interrupted build leaves an invalid index, which is
 * built again. One replica builds; the others wait outside of a transaction, because the build would wait for that.
 */
export async function buildIndexes(db: Db, indexes: ReadonlyMap<string, string>): Promise<void> {
  if ((await unfinished(db, indexes)).length === 0) return;
  await db.connection().execute(async (connection) => {
    while (!(await tryLock(connection))) await setTimeout(interval);
    try {
      for (const { name, exists } of await unfinished(connection, indexes)) {
        const index = sql.table(name);
        if (exists) await sql`drop index concurrently ${index}`.execute(connection);
        await sql`create index concurrently ${index} on ${sql.raw(indexes.get(name) ?? "")}`.execute(
          connection,
        );
      }
    } finally {
      await sql`select pg_advisory_unlock(${lockKey})`.execute(connection);
    }
  });
}

async function tryLock(connection: Db): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`select pg_try_advisory_lock(${lockKey}) as locked`.execute(
    connection,
  );
  return rows[0]?.locked === true;
}

/** Finds indexes that are missing or invalid. */
async function unfinished(db: Db, indexes: ReadonlyMap<string, string>) {
  const { rows } = await sql<{ name: string; exists: boolean }>`
    select wanted.name, i.indexrelid is not null as "exists"
    from unnest(${[...indexes.keys()]}::text[]) with ordinality as wanted (name, place)
    left join pg_index i on i.indexrelid = to_regclass(quote_ident(wanted.name))
    where i.indisvalid is not true
    order by wanted.place`.execute(db);
  return rows;
}
