import type { Config } from "../config/config.ts";

/** With fewer, what one pool's calls wait for could be each other. */
const minConnections = 2;

/** Each process listens for revocations on a connection beside its pool. */
const listening = 1;

/** For the start, and for an operator's own look into the database. */
const spare = 20;

/** How many connections the pool of each worker may have, so that where it is enough all together have those of one replica. */
export function connectionsOfWorker(config: Pick<Config, "maxConnections" | "workers">): number {
  return Math.max(minConnections, Math.floor(config.maxConnections / config.workers));
}

/** How many connections a PostgreSQL must take that serves this replica alone. */
export function connectionsOfAll(config: Pick<Config, "maxConnections" | "workers">): number {
  return config.workers * (connectionsOfWorker(config) + listening) + spare;
}
