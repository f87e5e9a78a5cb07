import { setTimeout } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

/** Told apart from other users of advisory locks by chance alone, as every such key is. */
const lockKey = 7_364_218_905_113;

/** Milliseconds between looks at whether another replica is done. */
const interval = 200;

/**
 * Builds the indexes of these names that are missing, beside whoever writes, one after the other. It needs no note of what was
 * done: an index is there, or was left unfinished by somebody who was interrupted, and is then built again. One replica builds;
 * others wait, without a transaction, for which the build would wait in turn.
 */
export async function buildIndexes(db: Kysely<Tables>, indexes: ReadonlyMap<string, string>): Promise<void> {
  if ((await unfinished(db, indexes)).length === 0) return;
  await db.connection().execute(async (connection) => {
    while (!(await tryLock(connection))) await setTimeout(interval);
    try {
      for (const { name, isThere } of await unfinished(connection, indexes)) {
        const index = sql.table(name);
        if (isThere) await sql`drop index concurrently ${index}`.execute(connection);
        await sql`create index concurrently ${index} on ${sql.raw(indexes.get(name) ?? "")}`.execute(
          connection,
        );
      }
    } finally {
      await sql`select pg_advisory_unlock(${lockKey})`.execute(connection);
    }
  });
}

async function tryLock(connection: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`select pg_try_advisory_lock(${lockKey}) as locked`.execute(
    connection,
  );
  return rows[0]?.locked === true;
}

/** Which of the indexes cannot be used yet, and whether there is something of them. */
async function unfinished(
  db: Kysely<Tables>,
  indexes: ReadonlyMap<string, string>,
): Promise<readonly { readonly name: string; readonly isThere: boolean }[]> {
  const { rows } = await sql<{ name: string; isThere: boolean }>`
    select wanted.name, i.indexrelid is not null as "isThere"
    from unnest(${[...indexes.keys()]}::text[]) with ordinality as wanted (name, place)
    left join pg_index i on i.indexrelid = to_regclass(quote_ident(wanted.name))
    where i.indisvalid is not true
    order by wanted.place`.execute(db);
  return rows;
}
