import type { Logger } from "pino";
import type { Config } from "./config/config.ts";
import type { DevelopmentProject } from "./config/data-directory.ts";
import { type Cleanup, type Stoppable, startAll } from "./lifecycle.ts";
import { Metrics } from "./observability/metrics.ts";
import { type MetricsListener, listenForMetrics } from "./observability/metrics-listener.ts";
import { describeFault } from "./observability/redact.ts";
import { prepareDatabase } from "./prepare-database.ts";
import { startReplica } from "./replica.ts";

/** A running service. `stop` drains it within the configured grace period. */
export interface Service extends Stoppable {
  readonly address: string;
  readonly port: number;
  /** Undefined if no metrics are configured. */
  readonly metrics: Pick<MetricsListener, "address" | "port"> | undefined;
  /** Set on the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/** Starts a service in this process. If it fails, nothing keeps running. */
export function startService(
  config: Config,
  log: Logger,
  now: () => Date = () => new Date(),
): Promise<Service> {
  return startAll(async (cleanup) => {
    const metrics = config.metricsListen && new Metrics();
    const shown = metrics && (await serveMetrics(config, () => metrics.registry.metrics(), log, cleanup));
    const database = await prepareDatabase(config, log, now, cleanup);
    const replica = { config, database, log, now, metrics };
    const { address, port } = await startReplica(replica, cleanup);
    return { address, port, metrics: shown, development: database.development };
  });
}

/** Serves metrics at the configured address, if there is one, until everything started later has stopped. */
export async function serveMetrics(
  { metricsListen }: Pick<Config, "metricsListen">,
  read: () => Promise<string>,
  log: Logger,
  cleanup: Cleanup,
): Promise<MetricsListener | undefined> {
  if (metricsListen === undefined) return undefined;
  const onError = (error: unknown) => log.warn({ fault: describeFault(error) }, "metrics failed");
  const listener = await listenForMetrics(metricsListen, read, onError);
  cleanup.defer(() => listener.close());
  log.info({ address: listener.address, port: listener.port }, "serving metrics");
  return listener;
}
