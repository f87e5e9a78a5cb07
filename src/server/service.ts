import type { Logger } from "pino";
import type { Config } from "./config/config.ts";
import type { DevelopmentProject } from "./data-directory.ts";
import { layFoundation } from "./prepare-database.ts";
import { Metrics } from "./observability/metrics.ts";
import { type MetricsListener, showMetrics } from "./observability/metrics-listener.ts";
import { startReplica } from "./replica.ts";
import { type Stoppable, startAll } from "./lifecycle.ts";

/** A running service; to stop it is to drain it, within the configured grace. */
export interface Service extends Stoppable {
  readonly address: string;
  readonly port: number;
  /** Where its metrics are read; undefined where they are not. */
  readonly metrics: Pick<MetricsListener, "address" | "port"> | undefined;
  /** On the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/**
 * Starts everything in this process, in order of dependency. Rejects with a message for the operator, and leaves nothing
 * running.
 */
export function startService(
  config: Config,
  log: Logger,
  now: () => Date = () => new Date(),
): Promise<Service> {
  return startAll(async (running) => {
    const metrics = config.metricsListen && new Metrics();
    const shown = metrics && (await showMetrics(config, () => metrics.registry.metrics(), log, running));
    const foundation = await layFoundation(config, log, now, running);
    const replica = { config, foundation, log, now, metrics };
    const { address, port } = await startReplica(replica, running);
    return { address, port, metrics: shown, development: foundation.development };
  });
}
