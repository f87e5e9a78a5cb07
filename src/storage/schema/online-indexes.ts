import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { DatabaseError } from "pg";
import type { Db } from "./tables.ts";

const attempts = 10;

/**
 * Builds missing indexes concurrently with writes, one after the other. An interrupted build leaves an invalid index, which is
 * built again. For the holder of a lease. If another process still builds, because it lost its lease or its connection
 * outlived it, this waits for it, or one of the two is ended by a deadlock and repeats.
 */
export async function buildIndexes(
  db: Db,
  indexes: ReadonlyMap<string, string>,
  onStart: (name: string) => void,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      for (const { name, exists } of await unfinished(db, indexes)) {
        onStart(name);
        const index = sql.table(name);
        if (exists) await sql`drop index concurrently if exists ${index}`.execute(db);
        await sql`create index concurrently ${index} on ${sql.raw(indexes.get(name) ?? "")}`.execute(db);
      }
      return;
    } catch (error) {
      if (!isLostRace(error) || attempt === attempts) throw explained(error);
      await setTimeout(Math.random() * 1000);
    }
  }
}

/** Whether another process builds too: deadlock, or the index exists meanwhile. */
function isLostRace(error: unknown): boolean {
  return error instanceof DatabaseError && ["40P01", "42P07"].includes(error.code ?? "");
}

/** A build has no transaction that could carry its settings. */
function explained(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !["57014", "25006"].includes(error.code ?? "")) return error;
  return new Error(
    "an index could not be built, because a setting of the role or a pooler forbids it: set " +
      "SESSIOND_DATABASE_DIRECT_URL to the URL of the database without the pooler",
    { cause: error },
  );
}

/** Finds indexes that are missing or invalid. */
export async function unfinished(db: Db, indexes: ReadonlyMap<string, string>) {
  const { rows } = await sql<{ name: string; exists: boolean }>`
    select wanted.name, i.indexrelid is not null as "exists"
    from unnest(${[...indexes.keys()]}::text[]) with ordinality as wanted (name, place)
    left join pg_index i on i.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(wanted.name))
    where i.indisvalid is not true
    order by wanted.place`.execute(db);
  return rows;
}
