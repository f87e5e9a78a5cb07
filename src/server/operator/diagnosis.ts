import type { Kysely } from "kysely";
import { loadPrivateKey } from "../../domain/keys/key-material.ts";
import type { MasterKeys } from "../../domain/keys/sealing.ts";
import {
  type ClockOffset,
  type DatabaseFacts,
  oldestVersionNumber,
  readClockOffset,
  readDatabaseFacts,
} from "../../storage/connection/database-facts.ts";
import { migrationStates, servedThoughNewer } from "../../storage/schema/migrate.ts";
import { keysNotWrappedWith } from "../../storage/signing-key-store.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import { type Config, type DatabaseConfig, masterKeysOf } from "../config/config.ts";
import { existingMasterKey } from "../config/data-directory.ts";
import { type Schema, schemaOf } from "./maintenance.ts";
import { withOperatorDatabase } from "./operator-database.ts";

/** What `doctor` reports of a database. */
export interface Diagnosis {
  readonly facts: DatabaseFacts;
  readonly supported: boolean;
  readonly clock: ClockOffset;
  readonly schema: Schema;
  /** The schema is newer but allows this version to serve. */
  readonly servedThoughNewer: boolean;
  /**
   * How many signing keys the configured master keys decrypt, and why they do not decrypt the others, without secrets.
   * Undefined if the schema is not this version's, or no master key is known.
   */
  readonly keys: { readonly openable: number; readonly problems: readonly string[] } | undefined;
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
    const masterKey =
      keys?.masterKey ??
      (config.databaseUrl === undefined ? await existingMasterKey(config.dataDirectory) : undefined);
    const checkable = keys !== undefined && masterKey !== undefined && schema.state === "current";
    return {
      facts,
      supported: facts.versionNumber >= oldestVersionNumber,
      clock,
      schema,
      servedThoughNewer: (await servedThoughNewer(db)) !== undefined,
      keys: checkable
        ? await checkSigningKeys(db, masterKeysOf(masterKey, keys.acceptedMasterKeys), clock)
        : undefined,
    };
  });
}

/** Decrypts every signing key that signs now or will sign. */
async function checkSigningKeys(
  db: Kysely<Tables>,
  { current, accepted }: MasterKeys,
  { offset }: ClockOffset,
) {
  // No master key has an empty id, so this returns every key, up to a bound.
  const keys = await keysNotWrappedWith(db, "", new Date(Date.now() + offset), 10_000);
  const problems = keys.flatMap((key) => {
    try {
      loadPrivateKey(key, [current, ...accepted]);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
  return { openable: keys.length - problems.length, problems };
}
