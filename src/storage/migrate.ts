import type { Kysely } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Tables } from "./tables.ts";
import { initial } from "./migrations/0001-initial.ts";
import { watchRevocations } from "./migrations/0002-watch-revocations.ts";
import { signingKeyLifecycle } from "./migrations/0003-signing-key-lifecycle.ts";
import { cheapWrites } from "./migrations/0004-cheap-writes.ts";
import { certificateNames } from "./migrations/0005-certificate-names.ts";

/** Every migration by name, in order. A released one is never edited. */
const migrations: Record<string, Migration> = {
  "0001_initial": initial,
  "0002_watch_revocations": watchRevocations,
  "0003_signing_key_lifecycle": signingKeyLifecycle,
  "0004_cheap_writes": cheapWrites,
  "0005_certificate_names": certificateNames,
};

/**
 * Brings the schema to the newest version; safe to call from many replicas at once, as Postgres lets one in at a time.
 * Returns the names of the migrations that were applied. Throws, in words, where the schema is newer than this code.
 */
export async function migrateToLatest(db: Kysely<Tables>): Promise<readonly string[]> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: "schema_migrations",
    migrationLockTableName: "schema_migrations_lock",
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw inWords(error);
  return results.map((result) => result.migrationName);
}

/** Kysely's own words for a migration in the database that the code does not have. */
const missingMigration = /previously executed migration (\S+) is missing/;

function inWords(error: unknown): Error {
  const unknown = error instanceof Error ? missingMigration.exec(error.message)?.[1] : undefined;
  if (unknown === undefined) return new Error("could not migrate the database", { cause: error });
  return new Error(
    `the database schema is newer than this version of sessiond: it has migration ${unknown}. ` +
      "Start the version that made it, or a newer one.",
  );
}
