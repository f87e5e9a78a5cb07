import type { Logger } from "pino";
import { SessiondError } from "../domain/errors.ts";
import type { Store } from "../domain/store/store.ts";
import { type BootstrapProject, bootstrapProject } from "../domain/use-cases/projects.ts";
import { type Database, openDatabase } from "../storage/connection/database.ts";
import { startEmbeddedPostgres } from "../embedded-postgres/supervisor.ts";
import { makeServable } from "../storage/schema/migrate.ts";
import { withDatabaseErrors } from "../storage/connection/database-errors.ts";
import { unlimited } from "../transport/call-context.ts";
import { describeFault } from "./observability/call-log.ts";
import type { Config } from "./config/config.ts";
import { connectionsOfAll } from "./workers/connection-share.ts";
import { type DevelopmentProject, developmentProject, embeddedMasterKey } from "./data-directory.ts";
import { adoptMasterKey, masterKeysOf } from "./master-keys.ts";
import { openStore } from "./open-store.ts";
import { DatabaseUnreachable } from "./operator/operator-database.ts";
import type { Running } from "./lifecycle.ts";
import { readTlsMaterial } from "./tls/certificates.ts";
import { warnOfExpiry } from "./tls/certificate-watch.ts";

/** What replicas stand on: a database with the newest schema, and what opens what is sealed in it. */
export interface Foundation {
  readonly databaseUrl: string;
  readonly masterKey: Buffer;
  /** On the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/**
 * Does what is done once, however many processes then serve: starts the embedded PostgreSQL, brings the schema up to date,
 * creates the first project, and brings signing keys to the current master key. Rejects, in words.
 */
export async function layFoundation(
  config: Config,
  log: Logger,
  now: () => Date,
  running: Running,
): Promise<Foundation> {
  // First, as it asks nobody: what is wrong with the files is said before anything is touched.
  if (config.tls !== undefined) warnOfExpiry(await readTlsMaterial(config.tls), log);
  const foundation = await findDatabase(config, log, running);
  const { databaseUrl, masterKey, development } = foundation;
  // However long a statement takes, and however long another replica is at it.
  await withDatabase(databaseUrl, { ...config, statementTimeoutMs: 0 }, log, async (db) => {
    const { applied, newer } = await makeServable(db);
    if (applied.length > 0) log.info({ migrations: applied }, "database migrated");
    if (newer !== undefined) {
      log.warn({ migration: newer }, "the schema is newer than this version, which may still serve");
    }
  });
  await withDatabase(databaseUrl, config, log, async (db) => {
    const store = openStore(db, config, log);
    const project = config.bootstrapProject ?? development;
    if (project !== undefined) await bootstrap(store, now, project, log);
    await adoptMasterKey(store.signingKeys, masterKeysOf(masterKey, config.acceptedMasterKeys), now(), log);
  });
  return foundation;
}

/** The configured database, or the embedded one with what it keeps beside it. */
async function findDatabase(config: Config, log: Logger, running: Running): Promise<Foundation> {
  if (config.databaseUrl !== undefined) {
    if (config.masterKey === undefined) throw new Error("SESSIOND_MASTER_KEY is required with DATABASE_URL");
    return { databaseUrl: config.databaseUrl, masterKey: config.masterKey, development: undefined };
  }
  const { dataDirectory: directory } = config;
  const postgres = await startEmbeddedPostgres({
    directory,
    log: (line) => log.info({ postgres: line }, "postgres"),
    maxConnections: Math.max(100, connectionsOfAll(config)),
  });
  running.defer(() => postgres.stop());
  const masterKey = config.masterKey ?? (await embeddedMasterKey(directory));
  const development = config.bootstrapProject === undefined ? await developmentProject(directory) : undefined;
  return { databaseUrl: postgres.url, masterKey, development };
}

async function withDatabase(
  url: string,
  { connectTimeoutMs, statementTimeoutMs }: Pick<Config, "connectTimeoutMs" | "statementTimeoutMs">,
  log: Logger,
  use: (db: Database) => Promise<void>,
): Promise<void> {
  const onConnectionError = (error: Error) =>
    log.warn({ fault: describeFault(error) }, "database connection lost");
  const db = openDatabase({
    url,
    maxConnections: 2,
    connectTimeoutMs,
    statementTimeoutMs,
    preparedStatements: false,
    onConnectionError,
  });
  try {
    await withDatabaseErrors(() => use(db));
  } catch (error) {
    if (error instanceof SessiondError && error.reason === "DATABASE_UNAVAILABLE") {
      throw new DatabaseUnreachable("the database does not answer", { cause: error.cause });
    }
    throw error;
  } finally {
    await db.destroy();
  }
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
