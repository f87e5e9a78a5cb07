import { setTimeout } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { DatabaseError } from "pg";
import { buildIndexes } from "./online-indexes.ts";
import { noteNeeds } from "./schema-needs.ts";
import type { SchemaMigration } from "./schema-migration.ts";
import type { Tables } from "./tables.ts";
import { initial } from "./migrations/0001-initial.ts";
import { watchRevocations } from "./migrations/0002-watch-revocations.ts";
import { signingKeyLifecycle } from "./migrations/0003-signing-key-lifecycle.ts";
import { cheapWrites } from "./migrations/0004-cheap-writes.ts";
import { certificateNames } from "./migrations/0005-certificate-names.ts";
import { purge } from "./migrations/0006-purge.ts";
import { tokenRotation } from "./migrations/0007-token-rotation.ts";

/** Migrations by name, in order. */
export type Migrations = Readonly<Record<string, SchemaMigration>>;

/** Those of this version. A released one is never edited; what a new one may do stands at SchemaMigration. */
export const migrations: Migrations = {
  "0001_initial": initial,
  "0002_watch_revocations": watchRevocations,
  "0003_signing_key_lifecycle": signingKeyLifecycle,
  "0004_cheap_writes": cheapWrites,
  "0005_certificate_names": certificateNames,
  "0006_purge": purge,
  "0007_token_rotation": tokenRotation,
};

const migrationTable = "schema_migrations";

/** The newest migration that was made before there were releases: no code that runs knows less. */
const firstNeeds = "0005_certificate_names";

/**
 * How long a migration waits for a table that somebody holds, in milliseconds: as long as it does, everybody who comes after waits
 * behind it. And far less than Postgres lets pass, by default a second, before it looks for a deadlock: of the two it might choose
 * the statement of a caller. Then it begins again, after a pause, so many times.
 */
const lockWait = { each: 200, pause: 100, attempts: 100 };

/**
 * Brings the schema to the newest version; safe to call from many replicas at once, as Postgres lets one in at a time, and while
 * the release before serves. `onStart` is told of each migration as it begins; they are committed together, and indexes are built
 * after that. Returns the names of those that were applied. Throws, in words, where the schema is newer than this code.
 */
export async function migrateToLatest(
  db: Kysely<Tables>,
  onStart: (name: string) => void = () => undefined,
  all: Migrations = migrations,
): Promise<readonly string[]> {
  const applied = await migratePatiently(db, onStart, all);
  const indexes = Object.values(all).flatMap((migration) => Object.entries(migration.indexes ?? {}));
  await buildIndexes(db, new Map(indexes));
  return applied;
}

async function migratePatiently(
  db: Kysely<Tables>,
  onStart: (name: string) => void,
  all: Migrations,
): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt++) {
    const { error, results = [] } = await migrateOnce(db, onStart, all);
    if (error === undefined) return results.map((result) => result.migrationName);
    if (!isLockTimeout(error) || attempt === lockWait.attempts) throw inWords(error);
    await setTimeout(lockWait.pause);
  }
}

function migrateOnce(db: Kysely<Tables>, onStart: (name: string) => void, all: Migrations) {
  let needs = firstNeeds;
  const told = Object.entries(all).map(([name, migration]): [string, Migration] => {
    needs = migration.needs ?? needs;
    const needed = needs;
    const up: Migration["up"] = async (db) => {
      onStart(name);
      await sql`set local lock_timeout = ${sql.lit(lockWait.each)}`.execute(db);
      await migration.up(db);
      await noteNeeds(db, name, needed);
    };
    return [name, { up }];
  });
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => Object.fromEntries(told) },
    migrationTableName: migrationTable,
    migrationLockTableName: "schema_migrations_lock",
  });
  return migrator.migrateToLatest();
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "55P03";
}

/** A migration as the database and this code know it. */
export interface MigrationState {
  readonly name: string;
  /** "unknown": the database has it, and this code does not. */
  readonly state: "applied" | "pending" | "unknown";
  /** When it was applied. */
  readonly time: Date | undefined;
}

/** Every migration that the database or this code has, in order. Changes nothing, also where there is no schema yet. */
export async function migrationStates(
  db: Kysely<Tables>,
  all: Migrations = migrations,
): Promise<readonly MigrationState[]> {
  const { rows: found } = await sql<{ present: boolean }>`
    select to_regclass(${migrationTable}) is not null as present`.execute(db);
  const { rows } =
    found[0]?.present === true
      ? await sql<{ name: string; timestamp: string }>`
          select name, timestamp from ${sql.table(migrationTable)}`.execute(db)
      : { rows: [] };
  return toStates(new Map(rows.map(({ name, timestamp }) => [name, new Date(timestamp)])), all);
}

/** Every migration of this code, and others that were applied, by when. */
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

/** Why nothing is done with a schema that has migrations this code does not know. */
export function newerSchema(unknown: string): Error {
  return new Error(
    `the database schema is newer than this version of sessiond: it has migration ${unknown}. ` +
      "Start the version that made it, or a newer one.",
  );
}

/** Kysely's own words for a migration in the database that the code does not have. */
const missingMigration = /previously executed migration (\S+) is missing/;

function inWords(error: unknown): Error {
  const unknown = error instanceof Error ? missingMigration.exec(error.message)?.[1] : undefined;
  if (unknown === undefined) return new Error("could not migrate the database", { cause: error });
  return newerSchema(unknown);
}
