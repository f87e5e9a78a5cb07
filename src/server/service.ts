import type { Logger } from "pino";
import type { Config } from "./config/config.ts";
import type { DevelopmentProject } from "./config/data-directory.ts";
import { type Stoppable, startAll } from "./lifecycle.ts";
import { Metrics } from "./observability/metrics.ts";
import { prepareDatabase } from "./prepare-database.ts";
import { startReplica } from "./replica.ts";
import { serveMetrics } from "./serve-metrics.ts";

/** A running service. `stop` drains it within the configured grace period. */
export interface Service extends Stoppable {
  readonly address: string;
  readonly port: number;
  /** Undefined if no metrics are configured. */
  readonly metrics: { readonly address: string; readonly port: number } | undefined;
  /** Set on the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/** Starts a service in this process. `now` replaces the database's clock, in tests. If it fails, nothing keeps running. */
export function startService(config: Config, log: Logger, now?: () => Date): Promise<Service> {
  return startAll(async (cleanup) => {
    const metrics = config.metricsListen && new Metrics();
    const shown = metrics && (await serveMetrics(config, () => metrics.registry.metrics(), log, cleanup));
    const database = await prepareDatabase(config, log, now, cleanup);
    const replica = { config, database, log, now, metrics };
    const { address, port } = await startReplica(replica, cleanup);
    return { address, port, metrics: shown, development: database.development };
  });
}
