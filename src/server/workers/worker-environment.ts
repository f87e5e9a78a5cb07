import cluster from "node:cluster";
import { type Config, connectionsPerWorker } from "../config/config.ts";
import type { PreparedDatabase } from "../prepare-database.ts";

/** Marks our own workers, because some process managers run every program as a cluster worker of theirs. */
const marker = "SESSIOND_WORKER";

/** Whether this process is a worker of `serve`. */
export function isWorker(environment: NodeJS.ProcessEnv): boolean {
  return cluster.isWorker && environment[marker] !== undefined;
}

/**
 * Variables that a worker has besides the primary's. It serves the prepared database like any replica. Unlike arguments, the
 * environment is readable only to this user and root, who can read the data directory too.
 */
export function workerEnvironment(
  config: Config,
  { databaseUrl, masterKey }: PreparedDatabase,
): Readonly<Record<string, string>> {
  return {
    [marker]: "1",
    DATABASE_URL: databaseUrl,
    SESSIOND_MASTER_KEY: masterKey.toString("base64"),
    SESSIOND_DATABASE_MAX_CONNECTIONS: String(connectionsPerWorker(config)),
  };
}

/** The database that the primary has prepared, from a worker's configuration. */
export function databaseOfWorker({
  databaseUrl,
  masterKey,
}: Config): Pick<PreparedDatabase, "databaseUrl" | "masterKey"> {
  if (databaseUrl === undefined || masterKey === undefined) {
    throw new Error("a worker can be started by sessiond only, which passes it the database");
  }
  return { databaseUrl, masterKey };
}
