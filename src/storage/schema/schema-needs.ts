import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

// Code that meets a schema with migrations it does not know cannot tell by itself whether it may serve on it. Whoever made them
// can, and leaves the answer here, beside Kysely's own table: of each migration, which one code must know to serve after it.

const table = sql.table("schema_migrations_needs");

/** Notes what code must know once a migration is made; within the transaction that makes it. */
export async function noteNeeds(db: Kysely<unknown>, migration: string, needs: string): Promise<void> {
  await sql`create table if not exists ${table} (migration text primary key, needs text not null)`.execute(
    db,
  );
  await sql`insert into ${table} (migration, needs) values (${migration}, ${needs})`.execute(db);
}

/** What code must know after each migration; nothing for those whose maker did not say. */
export async function readNeeds(db: Kysely<Tables>): Promise<ReadonlyMap<string, string>> {
  const { rows: found } = await sql<{ present: boolean }>`
    select to_regclass('schema_migrations_needs') is not null as present`.execute(db);
  if (found[0]?.present !== true) return new Map();
  const { rows } = await sql<{ migration: string; needs: string }>`
    select migration, needs from ${table}`.execute(db);
  return new Map(rows.map(({ migration, needs }) => [migration, needs]));
}
