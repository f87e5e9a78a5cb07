import { setTimeout } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { DatabaseError } from "pg";
import { buildIndexes } from "./online-indexes.ts";
import type { SchemaMigration } from "./migrations/schema-migration.ts";
import type { Db } from "./tables.ts";
import { initial } from "./migrations/0001-initial.ts";

export type Migrations = Readonly<Record<string, SchemaMigration>>;

/** The migrations of this version. A released one is never edited; {@link SchemaMigration} says what a new one may do. */
export const migrations: Migrations = {
  "0001_initial": initial,
};

const migrationTable = "sessiond_migrations";

/** The migration that every version knows. */
const firstNeeds = "0001_initial";

/**
 * How long a migration waits for a table lock, in milliseconds, and how often it tries again. Short, because later statements
 * queue behind the waiting one; and far below Postgres's deadlock_timeout of a second, after which it might abort the statement
 * of a caller.
 */
const lockWait = { each: 200, pause: 100, attempts: 100 };

/**
 * Brings the schema to the newest version. Safe to call from many replicas at once, because a lock admits one at a time, and
 * while the release before serves. Calls `onStart` with the name of each migration. Migrations are committed together; indexes
 * are built afterwards. Returns the names of the applied migrations. Throws if the schema is newer than this code.
 */
export async function migrateToLatest(
  db: Db,
  onStart: (name: string) => void = () => undefined,
  all: Migrations = migrations,
): Promise<readonly string[]> {
  const applied = await migratePatiently(db, onStart, all);
  const indexes = Object.values(all).flatMap((migration) => Object.entries(migration.indexes ?? {}));
  await buildIndexes(db, new Map(indexes));
  return applied;
}

async function migratePatiently(db: Db, onStart: (name: string) => void, all: Migrations) {
  for (let attempt = 1; ; attempt++) {
    const { error, results = [] } = await migrateOnce(db, onStart, all);
    if (error === undefined) return results.map((result) => result.migrationName);
    if (!isLockTimeout(error) || attempt === lockWait.attempts) throw explained(error);
    await setTimeout(lockWait.pause);
  }
}

function migrateOnce(db: Db, onStart: (name: string) => void, all: Migrations) {
  let needs = firstNeeds;
  const steps = Object.entries(all).map(([name, migration]): [string, Migration] => {
    needs = migration.needs ?? needs;
    const needed = needs;
    const up: Migration["up"] = async (db) => {
      onStart(name);
      await sql`set local lock_timeout = ${sql.lit(lockWait.each)}`.execute(db);
      await migration.up(db);
      await recordNeeds(db, name, needed);
    };
    return [name, { up }];
  });
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => Object.fromEntries(steps) },
    migrationTableName: migrationTable,
    migrationLockTableName: "sessiond_migrations_lock",
  });
  return migrator.migrateToLatest();
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "55P03";
}

export interface MigrationState {
  readonly name: string;
  /** "unknown": applied, but not part of this code. */
  readonly state: "applied" | "pending" | "unknown";
  readonly time: Date | undefined;
}

/** Lists the migrations of the database and of this code, in order. Changes nothing, even if there is no schema yet. */
export async function migrationStates(
  db: Db,
  all: Migrations = migrations,
): Promise<readonly MigrationState[]> {
  const { rows } = (await exists(db, migrationTable))
    ? await sql<{ name: string; timestamp: string }>`
          select name, timestamp from ${sql.table(migrationTable)}`.execute(db)
    : { rows: [] };
  return toStates(new Map(rows.map(({ name, timestamp }) => [name, new Date(timestamp)])), all);
}

/** The states of all migrations, given when each was applied. */
export function toStates(
  applied: ReadonlyMap<string, Date>,
  all: Migrations = migrations,
): readonly MigrationState[] {
  const names = new Set([...Object.keys(all), ...applied.keys()]);
  return [...names].toSorted().map((name) => {
    const time = applied.get(name);
    const known = name in all;
    return { name, state: known ? (time === undefined ? "pending" : "applied") : "unknown", time };
  });
}

/** The error for a schema with a migration that this code does not know. */
export function newerSchema(unknown: string): Error {
  return new Error(
    `the database schema is newer than this version of sessiond: it has migration ${unknown}. ` +
      "Start the version that made it, or a newer one.",
  );
}

/** Kysely's message for an applied migration that the code does not have. */
const missingMigration = /previously executed migration (\S+) is missing/;

function explained(error: unknown): Error {
  const unknown = error instanceof Error ? missingMigration.exec(error.message)?.[1] : undefined;
  if (unknown === undefined) return new Error("could not migrate the database", { cause: error });
  return newerSchema(unknown);
}

/**
 * Prepares the schema for a replica that starts: migrates it to the newest version. A newer schema is left as it is, if its
 * migrations recorded that this code may serve on it, as during a rollout or rollback of a release; `newer` is then the first
 * unknown migration. Otherwise throws.
 */
export async function makeServable(
  db: Db,
  all: Migrations = migrations,
): Promise<{ readonly applied: readonly string[]; readonly newer: string | undefined }> {
  const newer = await servedThoughNewer(db, all);
  if (newer !== undefined) return { applied: [], newer };
  return { applied: await migrateToLatest(db, () => undefined, all), newer: undefined };
}

/** The first unknown migration of a newer schema on which this code may serve. */
export async function servedThoughNewer(db: Db, all: Migrations = migrations): Promise<string | undefined> {
  const states = await migrationStates(db, all);
  if (states.some(({ state }) => state === "pending")) return undefined;
  const newer = states.filter(({ state }) => state === "unknown").map(({ name }) => name);
  if (newer.length === 0) return undefined;
  const needs = await readNeeds(db);
  return newer.every((name) => (needs.get(name) ?? "not recorded") in all) ? newer[0] : undefined;
}

/**
 * For each migration, the migration that code must know to serve after it. Recorded by the release that made it, because older
 * code cannot tell whether it may serve on migrations that it does not know.
 */
const needsTable = sql.table("sessiond_migrations_needs");

/** Records a migration's needs, in its own transaction. */
async function recordNeeds(db: Kysely<unknown>, migration: string, needs: string): Promise<void> {
  await sql`create table if not exists ${needsTable} (migration text primary key, needs text not null)`.execute(
    db,
  );
  await sql`insert into ${needsTable} (migration, needs) values (${migration}, ${needs})`.execute(db);
}

async function readNeeds(db: Db): Promise<ReadonlyMap<string, string>> {
  if (!(await exists(db, "sessiond_migrations_needs"))) return new Map();
  const { rows } = await sql<{ migration: string; needs: string }>`
    select migration, needs from ${needsTable}`.execute(db);
  return new Map(rows.map(({ migration, needs }) => [migration, needs]));
}

async function exists(db: Db, table: string): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select to_regclass(${table}) is not null as present`.execute(db);
  return rows[0]?.present === true;
}
