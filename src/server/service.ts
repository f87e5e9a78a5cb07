import { setImmediate } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { systemClock } from "../domain/clock.ts";
import { SessionJwts } from "../domain/jwt.ts";
import { KeyRing } from "../domain/key-ring.ts";
import { RevocationFeeds } from "../domain/revocation-feed.ts";
import type { Store } from "../domain/store.ts";
import { type BootstrapProject, bootstrapProject } from "../domain/use-cases/projects.ts";
import { openDatabase } from "../storage/database.ts";
import { startEmbeddedPostgres } from "../storage/embedded/supervisor.ts";
import { migrateToLatest } from "../storage/migrate.ts";
import { RevocationListener } from "../storage/revocation-listener.ts";
import { postgresStore } from "../storage/postgres-store.ts";
import type { Tables } from "../storage/tables.ts";
import { type AdditionalService, assemble } from "./assemble.ts";
import { describeFault } from "./call-log.ts";
import type { Config } from "./config.ts";
import { connectionLog } from "./connection-log.ts";
import { type DevelopmentProject, developmentProject, embeddedMasterKey } from "./data-directory.ts";
import { createListener } from "./listener.ts";
import { adoptMasterKey, masterKeysOf } from "./master-keys.ts";
import { readTlsMaterial } from "./tls-material.ts";
import { warnOfExpiry, watchTlsFiles } from "./tls-watch.ts";

/** A running service. */
export interface Service {
  readonly address: string;
  readonly port: number;
  /** On the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
  /** Drains and stops; resolves when everything is closed, within the configured grace. Safe to call again. */
  stop(): Promise<void>;
}

/**
 * Starts everything, in the order in which it depends on each other; with `additional` services beside its own. Rejects, in
 * words, and leaves nothing running.
 */
export async function startService(
  config: Config,
  log: Logger,
  now: () => Date = () => new Date(),
  additional: readonly AdditionalService[] = [],
): Promise<Service> {
  const running = new Running();
  try {
    // First, as it asks nobody: what is wrong with the files is said before anything is touched.
    const material = config.tls && (await readTlsMaterial(config.tls));
    const database = await openConfiguredDatabase(config, log, running);
    await migrate(database.url, config, log);

    const store = postgresStore(database.db, {
      onLostAccess: (error) => log.warn({ fault: describeFault(error) }, "accesses not recorded"),
      notify: config.notify,
    });
    const project = config.bootstrapProject ?? database.development;
    if (project !== undefined) await bootstrap(store, now, project, log);

    const masterKeys = masterKeysOf(database.masterKey, config.acceptedMasterKeys);
    await adoptMasterKey(store, masterKeys, now(), log);
    const keyRing = new KeyRing(store, masterKeys, now, config.keySchedule);
    const jwts = new SessionJwts(keyRing, config.issuer);
    const feeds = new RevocationFeeds(store, systemClock, now);
    if (config.notify) listen(database.url, config.connectTimeout, feeds, log, running);
    const shutdown = new AbortController();
    const { handler, takeStream, health } = assemble({
      config,
      deps: { store, jwts, keyRing, now },
      feeds,
      log,
      shutdownSignal: shutdown.signal,
      additional,
    });
    const listener = createListener({
      handler,
      takeStream,
      tls: config.tls && material && { material, minVersion: config.tls.minVersion },
      onError: connectionLog(log),
    });
    if (config.tls && material) {
      warnOfExpiry(material, log);
      const watch = watchTlsFiles(config.tls, material, log, (next) => listener.renewTls(next));
      running.defer(async () => watch.stop());
    }
    running.defer(async () => {
      health.drain();
      // One turn of the event loop, in which watchers of health are told so: then their streams end.
      await setImmediate();
      shutdown.abort(new ConnectError("the server is shutting down; try again", Code.Unavailable));
      await listener.drain(config.shutdownGrace);
    });
    const { address, port } = await listener.listen(config.listen);
    log.info({ address, port }, "listening");
    let stopped: Promise<void> | undefined;
    return {
      address,
      port,
      development: database.development,
      stop: () => (stopped ??= running.stop()),
    };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/** What has been started, to be stopped in the opposite order. */
class Running {
  readonly #stops: (() => Promise<void>)[] = [];

  defer(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.toReversed()) await stop();
  }
}

/** Brings the schema up to date; however long a statement takes, and however long another replica is at it. */
async function migrate(url: string, { connectTimeout }: Config, log: Logger): Promise<void> {
  const onConnectionError = (error: Error) =>
    log.warn({ fault: describeFault(error) }, "database connection lost");
  const db = openDatabase({ url, maxConnections: 1, connectTimeout, statementTimeout: 0, onConnectionError });
  try {
    const applied = await migrateToLatest(db);
    if (applied.length > 0) log.info({ migrations: applied }, "database migrated");
  } finally {
    await db.destroy();
  }
}

/** Has the feeds read at once when a revocation is committed, on whatever replica. */
function listen(
  url: string,
  connectTimeout: number,
  feeds: RevocationFeeds,
  log: Logger,
  running: Running,
): void {
  const listener = new RevocationListener({
    url,
    connectTimeout,
    clock: systemClock,
    onChange: (projectId) => feeds.changed(projectId),
    onTrouble: (error) => log.warn({ fault: describeFault(error) }, "revocations are polled for"),
  });
  running.defer(() => listener.close());
}

interface ConfiguredDatabase {
  readonly url: string;
  readonly db: Kysely<Tables>;
  readonly masterKey: Buffer;
  readonly development: DevelopmentProject | undefined;
}

/** The configured database, or the embedded one with what it keeps beside it. */
async function openConfiguredDatabase(
  config: Config,
  log: Logger,
  running: Running,
): Promise<ConfiguredDatabase> {
  const open = (url: string) => {
    const { maxConnections, connectTimeout, statementTimeout } = config;
    const onConnectionError = (error: Error) =>
      log.warn({ fault: describeFault(error) }, "database connection lost");
    const db = openDatabase({ url, maxConnections, connectTimeout, statementTimeout, onConnectionError });
    running.defer(() => db.destroy());
    return db;
  };
  if (config.databaseUrl !== undefined) {
    if (config.masterKey === undefined) throw new Error("SESSIOND_MASTER_KEY is required with DATABASE_URL");
    return {
      url: config.databaseUrl,
      db: open(config.databaseUrl),
      masterKey: config.masterKey,
      development: undefined,
    };
  }
  const { dataDirectory: directory } = config;
  const postgres = await startEmbeddedPostgres({
    directory,
    log: (line) => log.info({ postgres: line }, "postgres"),
  });
  running.defer(() => postgres.stop());
  const masterKey = config.masterKey ?? (await embeddedMasterKey(directory));
  const development = config.bootstrapProject === undefined ? await developmentProject(directory) : undefined;
  return { url: postgres.url, db: open(postgres.url), masterKey, development };
}

async function bootstrap(
  store: Store,
  now: () => Date,
  project: BootstrapProject,
  log: Logger,
): Promise<void> {
  const outcome = await bootstrapProject({ store, now }, project);
  const fields = { project: project.projectId };
  if (outcome === "foreign")
    log.warn(fields, "the bootstrap secret is no credential of this project; nothing was changed");
  else log.info(fields, outcome === "created" ? "bootstrap project created" : "bootstrap project present");
}
