import {
  type MigrationState,
  migrateToLatest,
  migrationStates,
  newerSchema,
  toStates,
} from "../../storage/schema/migrate.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { withOperatorDatabase } from "./operator-database.ts";

/** How the schema of a database stands to this version of sessiond. */
export interface Schema {
  readonly state: "current" | "pending" | "newer";
  readonly migrations: readonly MigrationState[];
}

/** The schema of the configured database; changes nothing. Of an embedded one that was never made, everything is pending. */
export async function readSchema(config: DatabaseConfig): Promise<Schema> {
  const migrations = await withOperatorDatabase(config, { create: false }, migrationStates);
  return schemaOf(migrations ?? toStates(new Map()));
}

/** What these migrations say of the schema. */
export function schemaOf(migrations: readonly MigrationState[]): Schema {
  const has = (state: MigrationState["state"]) => migrations.some((migration) => migration.state === state);
  return { state: has("unknown") ? "newer" : has("pending") ? "pending" : "current", migrations };
}

/** Applies what is pending, telling of each as it begins; returns the names of what was applied. Throws, in words. */
export async function migrateConfigured(
  config: DatabaseConfig,
  onStart: (name: string) => void,
): Promise<readonly string[]> {
  const apply = { create: true } as const;
  return (await withOperatorDatabase(config, apply, (db) => migrateToLatest(db, onStart))) ?? [];
}

/** The names of what is pending. Throws, in words, where the schema is newer than this version. */
export function pendingOf({ migrations }: Schema): readonly string[] {
  const unknown = migrations.find(({ state }) => state === "unknown");
  if (unknown !== undefined) throw newerSchema(unknown.name);
  return migrations.filter(({ state }) => state === "pending").map(({ name }) => name);
}
