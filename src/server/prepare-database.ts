import { sql } from "kysely";
import type { Logger } from "pino";
import { rewrapSigningKeys } from "../domain/keys/key-material.ts";
import type { Store } from "../domain/store/store.ts";
import { type BootstrapProject, bootstrapProject } from "../domain/use-cases/projects.ts";
import { startEmbeddedPostgres } from "../embedded-postgres/supervisor.ts";
import type { Database } from "../storage/connection/database.ts";
import { readDatabaseTime } from "../storage/connection/database-facts.ts";
import { hostsIn } from "../storage/connection/hosts.ts";
import { withDatabaseErrors } from "../storage/connection/database-errors.ts";
import { type PostgresStoreOptions, postgresStore } from "../storage/postgres-store.ts";
import { unfinishedRecovery } from "../storage/recovery/recoveries.ts";
import { makeServable } from "../storage/schema/migrate.ts";
import { unlimited } from "../transport/call-context.ts";
import { type Config, connectionsPerReplica, masterKeysOf } from "./config/config.ts";
import { type DevelopmentProject, developmentProject, embeddedMasterKey } from "./config/data-directory.ts";
import type { Cleanup } from "./lifecycle.ts";
import { describeFault } from "./observability/log.ts";
import { useDatabase } from "./operator/operator-database.ts";
import { unfinishedText } from "./operator/recovery.ts";
import { SlowWait } from "./operator/slow-wait.ts";
import { warnOfExpiry } from "./tls/certificate-watch.ts";
import { readTlsMaterial } from "./tls/certificates.ts";

/** A database that replicas can serve from, and the key of its secrets. */
export interface PreparedDatabase {
  readonly databaseUrl: string;
  /** The same database without a pooler, if one is known. */
  readonly directUrl: string;
  readonly masterKey: Buffer;
  /** Set on the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/**
 * Prepares the database once per service, for any number of processes: starts the embedded PostgreSQL, migrates the schema,
 * creates the first project, and rewraps signing keys with the current master key. `now` replaces the database's clock, in tests.
 */
export async function prepareDatabase(
  config: Config,
  log: Logger,
  now: (() => Date) | undefined,
  cleanup: Cleanup,
): Promise<PreparedDatabase> {
  // Files first, so that a mistake in them is reported before anything is changed.
  if (config.tls !== undefined) warnOfExpiry(await readTlsMaterial(config.tls), log);
  const prepared = await resolveDatabase(config, log, cleanup);
  const { databaseUrl, directUrl, masterKey, development } = prepared;
  const { connectTimeoutMs } = config;
  const onConnectionError = logConnectionError(log);
  const use = (url: string, statementTimeoutMs: number, work: (db: Database) => Promise<void>) =>
    useDatabase({ url, maxConnections: 2, connectTimeoutMs, statementTimeoutMs, onConnectionError }, (db) =>
      withDatabaseErrors(() => work(db)),
    );
  const wait = new SlowWait((cause) => log.info(`waits for ${cause}`));
  // Without a timeout: statements may be slow, and another replica may be migrating.
  await use(directUrl, 0, async (db) => {
    wait.for(`the database at ${hostsIn(directUrl)}, which does not answer`);
    await sql`select 1`.execute(db);
    wait.end();
    wait.for("the schema of the database to be read: another statement may lock the tables of migrations");
    const { applied, newer } = await makeServable(db, {
      onStart: () => wait.end(),
      onBuild: (index) => log.info({ index }, "building an index"),
      onWait: (cause) => wait.for(cause),
    });
    if (applied.length > 0) log.info({ migrations: applied }, "database migrated");
    if (newer !== undefined) {
      log.warn({ migration: newer }, "the schema is newer than this version, but allows it to serve");
    }
  }).finally(() => wait.end());
  await use(databaseUrl, config.statementTimeoutMs, async (db) => {
    const recovery = await unfinishedRecovery(db);
    if (recovery !== undefined) throw new Error(unfinishedText(recovery));
    const store = openStore(db, config, log);
    const time = now?.() ?? (await readDatabaseTime(db));
    const project = config.bootstrapProject ?? development;
    if (project !== undefined) await bootstrap(store, () => time, project, log);
    // Throws if none of the configured master keys opens a key.
    const masterKeys = masterKeysOf(masterKey, config.acceptedMasterKeys);
    const keys = await rewrapSigningKeys(store.signingKeys, masterKeys, time);
    const fields = { keys, masterKey: masterKeys.current.id };
    if (keys > 0) log.info(fields, "signing keys wrapped with the current master key");
  });
  return prepared;
}

async function resolveDatabase(config: Config, log: Logger, cleanup: Cleanup): Promise<PreparedDatabase> {
  if (config.databaseUrl !== undefined) {
    if (config.masterKey === undefined) throw new Error("SESSIOND_MASTER_KEY is required with DATABASE_URL");
    const { databaseUrl, directUrl = databaseUrl, masterKey } = config;
    return { databaseUrl, directUrl, masterKey, development: undefined };
  }
  const { dataDirectory: directory } = config;
  const postgres = await startEmbeddedPostgres({
    directory,
    log: (line) => log.info({ postgres: line }, "postgres"),
    maxConnections: Math.max(100, connectionsPerReplica(config)),
  });
  cleanup.defer(() => postgres.stop());
  const masterKey = config.masterKey ?? (await embeddedMasterKey(directory));
  const development = config.bootstrapProject === undefined ? await developmentProject(directory) : undefined;
  return { databaseUrl: postgres.url, directUrl: postgres.url, masterKey, development };
}

async function bootstrap(
  store: Store,
  now: () => Date,
  project: BootstrapProject,
  log: Logger,
): Promise<void> {
  const outcome = await bootstrapProject({ store, now }, project, unlimited);
  const fields = { project: project.projectId };
  if (outcome === "foreign") {
    log.warn(fields, "the bootstrap secret is no credential of this project; nothing was changed");
  } else {
    log.info(fields, outcome === "created" ? "bootstrap project created" : "bootstrap project present");
  }
}

export function openStore(
  db: Database,
  { maxWaiting }: Pick<Config, "maxWaiting">,
  log: Logger,
  options: Pick<PostgresStoreOptions, "onBatch" | "gate" | "onRevocations"> = {},
): Store {
  const onLostAccess = (error: unknown) =>
    log.warn({ fault: describeFault(error) }, "last access times not recorded");
  return postgresStore(db, { ...options, onLostAccess, maxWaiting });
}

export function logConnectionError(log: Logger): (error: Error) => void {
  return (error) => log.warn({ fault: describeFault(error) }, "database connection lost");
}
