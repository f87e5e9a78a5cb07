import { AggregatorRegistry, type Registry } from "prom-client";

/** Has this worker's metrics be part of what its primary shows. */
export function shareMetrics(registry: Registry): void {
  AggregatorRegistry.setRegistries([registry]);
  // Made for what it does when made: it listens for the primary's question.
  void new AggregatorRegistry();
}

/** How the primary reads the metrics of all its workers as one. Fails when one does not answer within 5 seconds. */
export function metricsOfWorkers(): () => Promise<string> {
  const workers = new AggregatorRegistry();
  return () => workers.clusterMetrics();
}
