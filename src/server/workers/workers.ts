import cluster from "node:cluster";
import type { Logger } from "pino";
import { AggregatorRegistry } from "prom-client";
import { type Config, connectionsPerWorker } from "../config/config.ts";
import { type Stoppable, startAll } from "../lifecycle.ts";
import { Metrics } from "../observability/metrics.ts";
import { prepareDatabase } from "../prepare-database.ts";
import { startReplica } from "../replica.ts";
import { serveMetrics } from "../serve-metrics.ts";
import type { Service } from "../service.ts";
import { WorkerPool } from "./worker-pool.ts";

/** Marks our own workers, because some process managers run every program as a cluster worker of theirs. */
const marker = "SESSIOND_WORKER";

/** Whether this process is a worker of `serve`. */
export function isWorker(environment: NodeJS.ProcessEnv): boolean {
  return cluster.isWorker && environment[marker] !== undefined;
}

/**
 * Starts a service of several processes on one port. This process, the primary, prepares the database and supervises the
 * workers. Each worker is a replica: workers share nothing but the database. If it fails, nothing keeps running. Calls
 * `onWorkers` before the first worker starts, because that one serves before the last one does.
 */
export function startWorkers(config: Config, log: Logger, onWorkers: () => void): Promise<Service> {
  return startAll(async (cleanup) => {
    if (!cluster.isPrimary) {
      throw new Error("SESSIOND_WORKERS must be 1 if a process manager runs sessiond as a cluster worker");
    }
    // Fails if a worker does not answer within 5 seconds.
    const aggregated = config.metricsListen && new AggregatorRegistry();
    const read = () => aggregated?.clusterMetrics() ?? Promise.resolve("");
    const metrics = await serveMetrics(config, read, log, cleanup);
    const database = await prepareDatabase(config, log, undefined, cleanup);
    const pool = new WorkerPool({
      size: config.workers,
      listen: config.listen,
      // Unlike arguments, the environment is readable only to this user and root, who can read the data directory too.
      environment: {
        [marker]: "1",
        DATABASE_URL: database.databaseUrl,
        SESSIOND_DATABASE_DIRECT_URL: database.directUrl,
        SESSIOND_MASTER_KEY: database.masterKey.toString("base64"),
        SESSIOND_DATABASE_MAX_CONNECTIONS: String(connectionsPerWorker(config)),
      },
      // Calls may take the grace period, and statements without a caller their own timeouts.
      stopTimeoutMs: config.shutdownGraceMs + config.connectTimeoutMs + config.statementTimeoutMs,
      log,
    });
    cleanup.defer(() => pool.stop());
    onWorkers();
    const { address, port } = await pool.start();
    return { address, port, metrics, development: database.development };
  });
}

/** Starts the replica of a worker process. `stop` drains it. If it fails, nothing keeps running. */
export function startWorker(config: Config, log: Logger): Promise<Stoppable> {
  const { databaseUrl, directUrl, masterKey } = config;
  if (databaseUrl === undefined || directUrl === undefined || masterKey === undefined) {
    throw new Error("a worker can be started by sessiond only, which passes it the database");
  }
  const metrics = config.metricsListen && new Metrics();
  if (metrics !== undefined) {
    AggregatorRegistry.setRegistries([metrics.registry]);
    // Its constructor starts to answer the primary's requests for metrics.
    void new AggregatorRegistry();
  }
  const replica = { config, database: { databaseUrl, directUrl, masterKey }, log, metrics };
  return startAll((cleanup) => startReplica(replica, cleanup));
}
