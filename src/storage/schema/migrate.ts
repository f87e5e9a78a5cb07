import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { DatabaseError } from "pg";
import { createBookkeeping, existing, migrationTable, needsTable } from "./bookkeeping.ts";
import { Lease, heldLeases } from "./lease.ts";
import { buildIndexes, unfinished } from "./online-indexes.ts";
import { explainedMigrationError } from "./migration-errors.ts";
import type { SchemaMigration } from "./migrations/schema-migration.ts";
import type { Db } from "./tables.ts";
import { initial } from "./migrations/0001-initial.ts";

export type Migrations = Readonly<Record<string, SchemaMigration>>;

/** The migrations of this version. A released one is never edited; {@link SchemaMigration} says what a new one may do. */
export const migrations: Migrations = {
  "0001_initial": initial,
};

/** The migration that every version knows. */
const firstNeeds = "0001_initial";

/**
 * How long a migration waits for a table lock, in milliseconds, and how often it tries again. Short, because later statements
 * queue behind the waiting one; and far below Postgres's deadlock_timeout of a second, after which it might abort the statement
 * of a caller.
 */
const lockWait = { each: 200, pause: 100, attempts: 100 };

/** A start after a crash during a migration waits this long. Renewed while the migration runs. */
const lease = { name: "migrations", seconds: 15, intervalMs: 0 };

/** Milliseconds between attempts to take the lease. */
const leasePause = 200;

export interface MigrateOptions {
  /** By default those of this version. */
  readonly all?: Migrations;
  /** Called before each migration. */
  readonly onStart?: (name: string) => void;
  /** Called before each build of an index. */
  readonly onBuild?: (index: string) => void;
  /** Called, perhaps often, while the migration waits, with the cause. */
  readonly onWait?: (cause: string) => void;
}

/**
 * Brings the schema to the newest version. Safe to call from many processes at once, because a lease admits one at a time, and
 * while the release before serves. Migrations are committed together; indexes are built afterwards. Without anything to do it
 * needs no privileges but to read. Returns the names of the applied migrations. Throws if the schema is newer than this code.
 */
export async function migrateToLatest(db: Db, options: MigrateOptions = {}): Promise<readonly string[]> {
  const { all = migrations, onWait = ignore, onBuild = ignore } = options;
  const indexes = new Map(Object.values(all).flatMap(({ indexes = {} }) => Object.entries(indexes)));
  try {
    for (;;) {
      const pending = pendingOf(await migrationStates(db, all));
      if (pending.length === 0 && (await unfinished(db, indexes)).length === 0) return [];
      await createBookkeeping(db);
      const held = await Lease.take(db, lease.name, lease);
      if (held !== undefined) {
        return await holdDuring(held, async () => {
          const applied = await applyPatiently(db, all, options);
          await buildIndexes(db, indexes, onBuild);
          return applied;
        });
      }
      const [holder] = (await heldLeases(db)).filter(({ name }) => name === lease.name);
      if (holder !== undefined) onWait(`the migration by ${holder.process}`);
      await setTimeout(leasePause);
    }
  } catch (error) {
    throw explainedMigrationError(error);
  }
}

const ignore = () => undefined;

async function holdDuring<T>(held: Lease, work: () => Promise<T>): Promise<T> {
  try {
    return await held.holdDuring(work);
  } finally {
    // If this fails too, the lease expires.
    await held.release(true).catch(ignore);
  }
}

async function applyPatiently(
  db: Db,
  all: Migrations,
  { onStart = ignore, onWait = ignore }: MigrateOptions,
) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await applyPending(db, all, onStart);
    } catch (error) {
      const isWaiting =
        error instanceof DatabaseError && ["55P03", "40P01", "40001"].includes(error.code ?? "");
      if (!isWaiting) throw error;
      if (attempt === lockWait.attempts) {
        throw new Error("could not migrate the database: other statements kept a table locked", {
          cause: error,
        });
      }
      onWait("other statements, which lock a table that the migration changes");
      await setTimeout(lockWait.pause);
    }
  }
}

/** Applies pending migrations in one transaction. The lock keeps out a process that has lost its lease without noticing. */
async function applyPending(db: Db, all: Migrations, onStart: (name: string) => void) {
  return db.transaction().execute(async (transaction) => {
    await sql`set local lock_timeout = ${sql.lit(lockWait.each)}`.execute(transaction);
    await sql`lock table ${sql.table(migrationTable)} in exclusive mode`.execute(transaction);
    const pending = pendingOf(await migrationStates(transaction, all));
    let needs = firstNeeds;
    for (const [name, migration] of Object.entries(all)) {
      needs = migration.needs ?? needs;
      if (!pending.includes(name)) continue;
      onStart(name);
      await migration.up(transaction);
      await record(transaction, name, needs);
    }
    return pending;
  });
}

/** Records that a migration was applied, and its needs. */
async function record(db: Db, name: string, needs: string): Promise<void> {
  await sql`insert into ${sql.table(needsTable)} (migration, needs) values (${name}, ${needs})`.execute(db);
  await sql`insert into ${sql.table(migrationTable)} (name, timestamp)
    values (${name}, ${new Date().toISOString()})`.execute(db);
}

/** Names of pending migrations. Throws if the schema is newer than this version. */
export function pendingOf(states: readonly MigrationState[]): readonly string[] {
  const unknown = states.find(({ state }) => state === "unknown");
  if (unknown !== undefined) throw newerSchema(unknown.name);
  return states.filter(({ state }) => state === "pending").map(({ name }) => name);
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
  const { rows } = (await existing(db, [migrationTable])).has(migrationTable)
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

/**
 * Prepares the schema for a replica that starts: migrates it to the newest version. A newer schema is left as it is, if its
 * migrations recorded that this code may serve on it, as during a rollout or rollback of a release; `newer` is then the first
 * unknown migration. Otherwise throws.
 */
export async function makeServable(
  db: Db,
  options: MigrateOptions = {},
): Promise<{ readonly applied: readonly string[]; readonly newer: string | undefined }> {
  const newer = await servedThoughNewer(db, options.all);
  if (newer !== undefined) return { applied: [], newer };
  return { applied: await migrateToLatest(db, options), newer: undefined };
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

async function readNeeds(db: Db): Promise<ReadonlyMap<string, string>> {
  if (!(await existing(db, [needsTable])).has(needsTable)) return new Map();
  const { rows } = await sql<{ migration: string; needs: string }>`
    select migration, needs from ${sql.table(needsTable)}`.execute(db);
  return new Map(rows.map(({ migration, needs }) => [migration, needs]));
}
