import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Tables } from "./tables.ts";
import { initial } from "./migrations/0001-initial.ts";
import { watchRevocations } from "./migrations/0002-watch-revocations.ts";
import { signingKeyLifecycle } from "./migrations/0003-signing-key-lifecycle.ts";
import { cheapWrites } from "./migrations/0004-cheap-writes.ts";
import { certificateNames } from "./migrations/0005-certificate-names.ts";
import { purge } from "./migrations/0006-purge.ts";
import { tokenRotation } from "./migrations/0007-token-rotation.ts";

/** Every migration by name, in order. A released one is never edited. */
const migrations: Record<string, Migration> = {
  "0001_initial": initial,
  "0002_watch_revocations": watchRevocations,
  "0003_signing_key_lifecycle": signingKeyLifecycle,
  "0004_cheap_writes": cheapWrites,
  "0005_certificate_names": certificateNames,
  "0006_purge": purge,
  "0007_token_rotation": tokenRotation,
};

const migrationTable = "schema_migrations";

/**
 * Brings the schema to the newest version; safe to call from many replicas at once, as Postgres lets one in at a time.
 * `onStart` is told of each migration as it begins; they are committed together. Returns the names of those that were applied.
 * Throws, in words, where the schema is newer than this code.
 */
export async function migrateToLatest(
  db: Kysely<Tables>,
  onStart: (name: string) => void = () => undefined,
): Promise<readonly string[]> {
  const told = Object.entries(migrations).map(([name, migration]): [string, Migration] => [
    name,
    {
      up: async (db) => {
        onStart(name);
        await migration.up(db);
      },
    },
  ]);
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => Object.fromEntries(told) },
    migrationTableName: migrationTable,
    migrationLockTableName: "schema_migrations_lock",
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw inWords(error);
  return results.map((result) => result.migrationName);
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
export async function migrationStates(db: Kysely<Tables>): Promise<readonly MigrationState[]> {
  const { rows: found } = await sql<{ present: boolean }>`
    select to_regclass(${migrationTable}) is not null as present`.execute(db);
  const { rows } =
    found[0]?.present === true
      ? await sql<{ name: string; timestamp: string }>`
          select name, timestamp from ${sql.table(migrationTable)}`.execute(db)
      : { rows: [] };
  return toStates(new Map(rows.map(({ name, timestamp }) => [name, new Date(timestamp)])));
}

/** Every migration of this code, and others that were applied, by when. */
export function toStates(applied: ReadonlyMap<string, Date>): readonly MigrationState[] {
  const names = new Set([...Object.keys(migrations), ...applied.keys()]);
  return [...names].toSorted().map((name) => {
    const time = applied.get(name);
    const known = name in migrations;
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
