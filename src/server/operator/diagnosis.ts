import {
  type ClockOffset,
  type DatabaseFacts,
  oldestVersionNumber,
  readClockOffset,
  readDatabaseFacts,
} from "../../storage/connection/database-facts.ts";
import { migrationStates, servedThoughNewer } from "../../storage/schema/migrate.ts";
import type { Config, DatabaseConfig } from "../config/config.ts";
import { existingMasterKey } from "../config/data-directory.ts";
import { type KeyCheck, checkSigningKeys } from "./key-check.ts";
import { type Schema, schemaOf } from "./migrations.ts";
import { withOperatorDatabase } from "./operator-database.ts";

/** What `doctor` reports of a database. */
export interface Diagnosis {
  readonly facts: DatabaseFacts;
  /** Whether this version of PostgreSQL is supported. */
  readonly supported: boolean;
  readonly clock: ClockOffset;
  readonly schema: Schema;
  /** The schema is newer but allows this version to serve. */
  readonly servedThoughNewer: boolean;
  /** Undefined if the schema is not this version's, or no master key is known. */
  readonly keys: KeyCheck | undefined;
}

/**
 * Examines the configured database without changing it. Returns undefined if there is no embedded database yet. Signing keys
 * are checked only if `keys` is given. Throws DatabaseUnreachable.
 */
export async function diagnose(
  config: DatabaseConfig,
  keys: Pick<Config, "masterKey" | "acceptedMasterKeys"> | undefined,
): Promise<Diagnosis | undefined> {
  return withOperatorDatabase(config, { create: false }, async (db) => {
    const facts = await readDatabaseFacts(db);
    const clock = await readClockOffset(db);
    const schema = schemaOf(await migrationStates(db));
    const masterKey = keys?.masterKey ?? (await embeddedKey(config));
    const checkable = keys !== undefined && masterKey !== undefined && schema.state === "current";
    return {
      facts,
      supported: facts.versionNumber >= oldestVersionNumber,
      clock,
      schema,
      servedThoughNewer: (await servedThoughNewer(db)) !== undefined,
      keys: checkable
        ? await checkSigningKeys(db, masterKey, keys.acceptedMasterKeys, new Date())
        : undefined,
    };
  });
}

async function embeddedKey({ databaseUrl, dataDirectory }: DatabaseConfig): Promise<Buffer | undefined> {
  return databaseUrl === undefined ? existingMasterKey(dataDirectory) : undefined;
}
