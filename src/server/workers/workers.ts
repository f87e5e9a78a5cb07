import cluster from "node:cluster";
import type { Logger } from "pino";
import { AggregatorRegistry } from "prom-client";
import type { Config } from "../config/config.ts";
import { type Stoppable, startAll } from "../lifecycle.ts";
import { Metrics } from "../observability/metrics.ts";
import { prepareDatabase } from "../prepare-database.ts";
import { startReplica } from "../replica.ts";
import { type Service, serveMetrics } from "../service.ts";
import { databaseOfWorker, workerEnvironment } from "./worker-environment.ts";
import { WorkerPool } from "./worker-pool.ts";

/**
 * Starts a service of several processes on one port. This process, the primary, prepares the database and supervises the
 * workers. Each worker is a replica: workers share nothing but the database. If it fails, nothing keeps running.
 */
export function startWorkers(config: Config, log: Logger): Promise<Service> {
  return startAll(async (cleanup) => {
    if (!cluster.isPrimary) {
      throw new Error("SESSIOND_WORKERS must be 1 if a process manager runs sessiond as a cluster worker");
    }
    // Fails if a worker does not answer within 5 seconds.
    const aggregated = config.metricsListen && new AggregatorRegistry();
    const read = () => aggregated?.clusterMetrics() ?? Promise.resolve("");
    const metrics = await serveMetrics(config, read, log, cleanup);
    const database = await prepareDatabase(config, log, () => new Date(), cleanup);
    const pool = new WorkerPool({
      size: config.workers,
      listen: config.listen,
      environment: workerEnvironment(config, database),
      // Calls may take the grace period, and statements without a caller their own timeouts.
      stopTimeoutMs: config.shutdownGraceMs + config.connectTimeoutMs + config.statementTimeoutMs,
      log,
    });
    cleanup.defer(() => pool.stop());
    const { address, port } = await pool.start();
    return { address, port, metrics, development: database.development };
  });
}

/** Starts the replica of a worker process. `stop` drains it. If it fails, nothing keeps running. */
export function startWorker(config: Config, log: Logger): Promise<Stoppable> {
  const database = databaseOfWorker(config);
  const metrics = config.metricsListen && new Metrics();
  if (metrics !== undefined) {
    AggregatorRegistry.setRegistries([metrics.registry]);
    // Its constructor starts to answer the primary's requests for metrics.
    void new AggregatorRegistry();
  }
  return startAll((cleanup) =>
    startReplica({ config, database, log, now: () => new Date(), metrics }, cleanup),
  );
}
