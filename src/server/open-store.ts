import type { Logger } from "pino";
import type { Store } from "../domain/store/store.ts";
import { type PostgresStoreOptions, postgresStore } from "../storage/postgres-store.ts";
import type { Database } from "../storage/connection/database.ts";
import { describeFault } from "./observability/call-log.ts";
import type { Config } from "./config/config.ts";

/** The store on a database, what it loses told to the log, its batches to whoever counts them. */
export function openStore(
  db: Database,
  { notify, maxWaiting }: Pick<Config, "notify" | "maxWaiting">,
  log: Logger,
  onBatch?: PostgresStoreOptions["onBatch"],
): Store {
  return postgresStore(db, {
    onLostAccess: (error) => log.warn({ fault: describeFault(error) }, "accesses not recorded"),
    notify,
    maxWaiting,
    onBatch,
  });
}
