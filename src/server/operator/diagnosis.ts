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
import { withDatabaseErrors } from "../../storage/connection/database-errors.ts";
import { urlsOf } from "../../storage/connection/hosts.ts";
import {
  type DatabaseIdentity,
  type DeploymentActivity,
  type MissingPrivileges,
  missingPrivileges,
  readActivity,
  readIdentity,
} from "../../storage/schema/deployment-facts.ts";
import { unfinishedRecovery } from "../../storage/recovery/recoveries.ts";
import { migrationStates, servedThoughNewer } from "../../storage/schema/migrate.ts";
import { keysNotWrappedWith } from "../../storage/signing-key-store.ts";
import type { Db, Tables } from "../../storage/schema/tables.ts";
import { type Config, type DatabaseConfig, masterKeysOf } from "../config/config.ts";
import { existingMasterKey } from "../config/data-directory.ts";
import { type Schema, schemaOf } from "./maintenance.ts";
import { notificationsArrive } from "./notification-test.ts";
import { unfinishedText } from "./recovery.ts";
import { useDatabase, withOperatorDatabase } from "./operator-database.ts";

/** The path on which calls are served, by DATABASE_URL. */
export interface ServingPath {
  readonly facts: DatabaseFacts;
  readonly identity: DatabaseIdentity;
  readonly missing: readonly MissingPrivileges[];
  /** Whether notifications of revocations reach a direct connection. Undefined if they are off or the configuration is wrong. */
  readonly notifies: boolean | undefined;
}

/** What `doctor` reports of a database. */
export interface Diagnosis {
  /** How many hosts the URL names. */
  readonly hosts: number;
  readonly facts: DatabaseFacts;
  readonly identity: DatabaseIdentity;
  readonly serving: ServingPath;
  /** Undefined if the schema is not this version's. */
  readonly activity: DeploymentActivity | undefined;
  /** Why the database must not be served from, if a recovery of it was interrupted. */
  readonly unfinishedRecovery: string | undefined;
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
  keys: Pick<Config, "masterKey" | "acceptedMasterKeys" | "notify"> | undefined,
): Promise<Diagnosis | undefined> {
  return withOperatorDatabase(config, { create: false }, async (db, url) => {
    const facts = await readDatabaseFacts(db);
    const clock = await readClockOffset(db);
    const schema = schemaOf(await migrationStates(db));
    const masterKey =
      keys?.masterKey ??
      (config.databaseUrl === undefined ? await existingMasterKey(config.dataDirectory) : undefined);
    const checkable = keys !== undefined && masterKey !== undefined && schema.state === "current";
    const notify = keys?.notify === true;
    return {
      hosts: urlsOf(url).length,
      facts,
      identity: await readIdentity(db),
      serving: await onServingPath(config, db, (serving) => readServingPath(serving, url, config, notify)),
      activity: schema.state === "current" ? await readActivity(db) : undefined,
      unfinishedRecovery: schema.state === "current" ? await unfinishedRecoveryText(db) : undefined,
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

async function unfinishedRecoveryText(db: Db): Promise<string | undefined> {
  const recovery = await unfinishedRecovery(db);
  return recovery && unfinishedText(recovery);
}

/** Runs `use` on the path of calls, which is `direct` unless there is another URL for operators. */
function onServingPath<T>(config: DatabaseConfig, direct: Db, use: (db: Db) => Promise<T>): Promise<T> {
  const { databaseUrl, directUrl, connectTimeoutMs } = config;
  if (databaseUrl === undefined || databaseUrl === directUrl) return use(direct);
  const options = { maxConnections: 1, statementTimeoutMs: 0, onConnectionError: () => undefined };
  return useDatabase({ ...options, url: databaseUrl, connectTimeoutMs }, (db) =>
    withDatabaseErrors(() => use(db)),
  );
}

async function readServingPath(
  db: Db,
  directUrl: string,
  { connectTimeoutMs }: DatabaseConfig,
  notify: boolean,
): Promise<ServingPath> {
  return {
    facts: await readDatabaseFacts(db),
    identity: await readIdentity(db),
    missing: await missingPrivileges(db),
    notifies: notify ? await notificationsArrive(db, directUrl, connectTimeoutMs) : undefined,
  };
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
