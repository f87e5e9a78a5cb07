import { setTimeout as delay } from "node:timers/promises";
import { type Purged, nothingPurged, purge, sumOf } from "../../storage/purge/purge.ts";
import {
  type MigrateOptions,
  type MigrationState,
  migrateToLatest,
  migrationStates,
  pendingOf,
  toStates,
} from "../../storage/schema/migrate.ts";
import type { Db } from "../../storage/schema/tables.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { withOperatorDatabase } from "./operator-database.ts";

/** A database's schema in relation to this version of sessiond. */
export interface Schema {
  readonly state: "current" | "pending" | "newer";
  readonly migrations: readonly MigrationState[];
}

/** Reads the schema of the configured database without changing it. If it does not exist yet, every migration is pending. */
export async function readSchema(config: DatabaseConfig): Promise<Schema> {
  const migrations = await withOperatorDatabase(config, { create: false }, (db) => migrationStates(db));
  return schemaOf(migrations ?? toStates(new Map()));
}

export function schemaOf(migrations: readonly MigrationState[]): Schema {
  const has = (state: MigrationState["state"]) => migrations.some((migration) => migration.state === state);
  return { state: has("unknown") ? "newer" : has("pending") ? "pending" : "current", migrations };
}

/** Names of the pending migrations of the configured database. Throws if the schema is newer than this version. */
export async function pendingMigrations(config: DatabaseConfig): Promise<readonly string[]> {
  return pendingOf((await readSchema(config)).migrations);
}

/** Applies pending migrations, and returns their names. */
export async function migrateConfigured(
  config: DatabaseConfig,
  options: MigrateOptions,
): Promise<readonly string[]> {
  const applied = await withOperatorDatabase(config, { create: true }, (db) => migrateToLatest(db, options));
  return applied ?? [];
}

/** Throws unless the schema is that of this version. */
export async function requireCurrentSchema(db: Db): Promise<void> {
  const pending = pendingOf(await migrationStates(db));
  if (pending.length > 0) throw new Error("migrations are pending: `sessiond migrate` applies them");
}

export interface OperatorPurgeOptions {
  readonly dryRun: boolean;
  /** Called after each batch with everything purged so far. */
  readonly onProgress: (total: Purged) => void;
  /** Ends the purge after the current batch. */
  readonly signal: AbortSignal;
}

/**
 * Purges the configured database, pausing after each batch for as long as the batch took. With `dryRun` it only counts. An
 * embedded database that does not exist yet counts as empty. Throws DatabaseUnreachable.
 */
export async function purgeConfigured(
  config: DatabaseConfig,
  { dryRun, onProgress, signal }: OperatorPurgeOptions,
) {
  let total = nothingPurged;
  const outcome = await withOperatorDatabase(config, { create: false }, async (db) => {
    await requireCurrentSchema(db);
    return purge(db, {
      retentionMs: config.retentionMs,
      intervalMs: 0,
      dryRun,
      signal,
      rest: (took) => delay(took, undefined, { signal }).catch(() => undefined),
      onBatch: (purged) => {
        total = sumOf(total, purged);
        onProgress(total);
      },
    });
  });
  return { outcome: outcome ?? "finished", total };
}
