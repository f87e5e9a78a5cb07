import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Store } from "../domain/store.ts";
import { type PostgresStoreOptions, postgresStore } from "../storage/postgres-store.ts";
import type { Tables } from "../storage/schema/tables.ts";
import { describeFault } from "./observability/call-log.ts";
import type { Config } from "./config/config.ts";

/** The store on a database, what it loses told to the log, its batches to whoever counts them. */
export function openStore(
  db: Kysely<Tables>,
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
