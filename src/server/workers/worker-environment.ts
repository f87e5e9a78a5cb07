import cluster from "node:cluster";
import type { Config } from "../config/config.ts";
import { connectionsOfWorker } from "./connection-share.ts";
import type { Foundation } from "../prepare-database.ts";

/** Marks the workers of a primary of ours: some process managers run every program as a worker of their own. */
const marker = "SESSIOND_WORKER";

/** Whether this process is a worker of `serve`, and not `serve` itself. */
export function isWorker(environment: NodeJS.ProcessEnv): boolean {
  return cluster.isWorker && environment[marker] !== undefined;
}

/**
 * What a worker has in its environment instead of the primary's: it serves as a replica would, from a database that is ready.
 * The environment, unlike the arguments, is readable to nobody but this user and root, who can read the data directory too.
 */
export function workerEnvironment(
  config: Config,
  { databaseUrl, masterKey }: Foundation,
): Readonly<Record<string, string>> {
  return {
    [marker]: "1",
    DATABASE_URL: databaseUrl,
    SESSIOND_MASTER_KEY: masterKey.toString("base64"),
    SESSIOND_DATABASE_MAX_CONNECTIONS: String(connectionsOfWorker(config)),
  };
}

/** What a worker's configuration says that it stands on. */
export function foundationOfWorker({
  databaseUrl,
  masterKey,
}: Config): Pick<Foundation, "databaseUrl" | "masterKey"> {
  if (databaseUrl === undefined || masterKey === undefined) {
    throw new Error("a worker is started by sessiond alone, which tells it of the database");
  }
  return { databaseUrl, masterKey };
}
