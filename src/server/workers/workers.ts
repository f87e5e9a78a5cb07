import cluster from "node:cluster";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { Crew } from "./worker-pool.ts";
import { layFoundation } from "../prepare-database.ts";
import { Metrics } from "../observability/metrics.ts";
import { showMetrics } from "../observability/metrics-listener.ts";
import { startReplica } from "../replica.ts";
import { type Stoppable, startAll } from "../lifecycle.ts";
import type { Service } from "../service.ts";
import { metricsOfWorkers, shareMetrics } from "./worker-metrics.ts";
import { foundationOfWorker, workerEnvironment } from "./worker-environment.ts";

/**
 * Starts a service of several processes on one port. This one, the primary, does what is done once and sees to the others; each
 * worker is a replica of its own, and like replicas they share nothing but the database, which is what the promises rest on.
 * Rejects, in words, and leaves nothing running.
 */
export function startWorkers(config: Config, log: Logger): Promise<Service> {
  return startAll(async (running) => {
    if (!cluster.isPrimary) {
      throw new Error(
        "SESSIOND_WORKERS must be 1 where a process manager runs sessiond as a worker of its own",
      );
    }
    const metrics = config.metricsListen && (await showMetrics(config, metricsOfWorkers(), log, running));
    const foundation = await layFoundation(config, log, () => new Date(), running);
    const crew = new Crew({
      size: config.workers,
      listen: config.listen,
      environment: workerEnvironment(config, foundation),
      // What a worker may properly take: calls for the grace, then statements that nobody waits for any more.
      patience: config.shutdownGraceMs + config.connectTimeoutMs + config.statementTimeoutMs,
      log,
    });
    running.defer(() => crew.stop());
    const { address, port } = await crew.start();
    return { address, port, metrics, development: foundation.development };
  });
}

/** Starts what a worker of `startWorkers` serves; to stop it is to drain it. Rejects, in words, and leaves nothing running. */
export function startWorker(config: Config, log: Logger): Promise<Stoppable> {
  const foundation = foundationOfWorker(config);
  const metrics = config.metricsListen && new Metrics();
  if (metrics !== undefined) shareMetrics(metrics.registry);
  return startAll((running) =>
    startReplica({ config, foundation, log, now: () => new Date(), metrics }, running),
  );
}
