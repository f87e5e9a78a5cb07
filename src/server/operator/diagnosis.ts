import {
  type ClockOffset,
  type DatabaseFacts,
  oldestVersionNumber,
  readClockOffset,
  readDatabaseFacts,
} from "../../storage/connection/database-facts.ts";
import { migrationStates, servedThoughNewer } from "../../storage/schema/migrate.ts";
import type { Config, DatabaseConfig } from "../config/config.ts";
import { madeMasterKey } from "../data-directory.ts";
import { type KeyCheck, checkSigningKeys } from "./key-check.ts";
import { withOperatorDatabase } from "./operator-database.ts";
import { type Schema, schemaOf } from "./migrations.ts";

/** What is found in the configured database. */
export interface Diagnosis {
  readonly facts: DatabaseFacts;
  readonly supported: boolean;
  readonly clock: ClockOffset;
  readonly schema: Schema;
  /** The schema is newer, and this version may serve on it all the same. */
  readonly servedThoughNewer: boolean;
  /** Undefined where the schema is another, or nobody knows the master key. */
  readonly keys: KeyCheck | undefined;
}

/**
 * Looks into the configured database and changes nothing; undefined where it is an embedded one that was never made. `keys` is
 * what the keys are opened with; without it, they are not looked at. Throws DatabaseUnreachable, or in words.
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
  return databaseUrl === undefined ? madeMasterKey(dataDirectory) : undefined;
}
