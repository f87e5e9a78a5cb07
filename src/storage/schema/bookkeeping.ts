import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { DatabaseError } from "pg";
import type { Db } from "./tables.ts";

// Tables that exist before the first migration. Each is looked up in the current schema alone: other schemas on the search path
// may have a deployment of their own.

/** Migrations that were applied. Rejected: Kysely's names and its search in all schemas, which find tables of other programs. */
export const migrationTable = "sessiond_migrations";

/**
 * For each migration, the migration that code must know to serve after it. Recorded by the release that made it, because older
 * code cannot tell whether it may serve on migrations that it does not know.
 */
export const needsTable = "sessiond_migrations_needs";

const statements = [
  `create table if not exists ${migrationTable} (name varchar(255) primary key, timestamp varchar(255) not null)`,
  `create table if not exists ${needsTable} (migration text primary key, needs text not null)`,
  // Work that one process of the deployment does at a time: who does it, until when, and when it was finished last. Rejected:
  // advisory locks, which outlive their owner if a pooler keeps the connection, and have no time.
  `create table if not exists leases (
    name text primary key,
    holder text, -- host and process id, and a random id
    until_time timestamptz not null,
    finish_time timestamptz not null
  )`,
];

const attempts = 20;

/** Creates the tables unless they exist. Many processes may do so at once. */
export async function createBookkeeping(db: Db): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if ((await existing(db, [migrationTable, needsTable, "leases"])).size === statements.length) return;
      await db.transaction().execute(async (transaction) => {
        for (const statement of statements) await sql.raw(statement).execute(transaction);
      });
    } catch (error) {
      if (!isLostRace(error) || attempt === attempts) throw error;
      await setTimeout(Math.random() * 100);
    }
  }
}

/**
 * SQLSTATEs and messages of statements that lost a race against another process, which `if not exists` does not prevent: unique
 * violations in Postgres's own tables, duplicate tables, serialization failures and deadlocks, "tuple concurrently updated".
 */
function isLostRace(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  const { code = "", routine } = error;
  return /^(23505|42P07|42710|40001|40P01)$/.test(code) || routine === "simple_heap_update";
}

/** Those of the tables or indexes that exist in the current schema. */
export async function existing(db: Db, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ name: string }>`
    select name from unnest(${names}::text[]) as wanted (name)
    where to_regclass(quote_ident(current_schema()) || '.' || quote_ident(name)) is not null`.execute(db);
  return new Set(rows.map(({ name }) => name));
}
