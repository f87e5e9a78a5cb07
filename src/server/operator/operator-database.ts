import { constants } from "node:os";
import { type Kysely, sql } from "kysely";
import { SessiondError } from "../../domain/errors.ts";
import { openDatabase } from "../../storage/connection/database.ts";
import { holdsCluster, runningUrl } from "../../embedded-postgres/running.ts";
import { startEmbeddedPostgres } from "../../embedded-postgres/supervisor.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import { withDatabaseErrors } from "../../storage/connection/database-errors.ts";
import type { DatabaseConfig } from "../config/config.ts";

/** The database does not answer; the cause says why. */
export class DatabaseUnreachable extends Error {
  override readonly name = "DatabaseUnreachable";
}

/**
 * Runs `use` with the database of this configuration, for a command that an operator runs beside the service or before it: the
 * configured one, the embedded one that a running service has, or the embedded one started for as long as it takes. No
 * statement is timed out. With `create: false`, an embedded one that was never made is not made, and the answer is undefined.
 * Throws DatabaseUnreachable.
 */
export async function withOperatorDatabase<T>(
  config: DatabaseConfig,
  { create }: { readonly create: boolean },
  use: (db: Kysely<Tables>) => Promise<T>,
): Promise<T | undefined> {
  if (config.databaseUrl !== undefined) return connected(config.databaseUrl, config, use);
  const { dataDirectory: directory } = config;
  const url = await runningUrl(directory);
  if (url !== undefined && (await answers(url, config))) return connected(url, config, use);
  if (!create && !(await holdsCluster(directory))) return undefined;
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, exitBy);
  try {
    const postgres = await startEmbeddedPostgres({ directory });
    try {
      return await connected(postgres.url, config, use);
    } finally {
      await postgres.stop();
    }
  } finally {
    for (const signal of signals) process.off(signal, exitBy);
  }
}

/** Ends the process as the signal would have, but takes the PostgreSQL that it has started with it. */
function exitBy(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}

async function answers(url: string, config: DatabaseConfig): Promise<boolean> {
  return connected(url, config, async () => true).catch(() => false);
}

async function connected<T>(
  url: string,
  { connectTimeoutMs }: DatabaseConfig,
  use: (db: Kysely<Tables>) => Promise<T>,
): Promise<T> {
  // A connection that breaks fails the statement that runs on it.
  const onConnectionError = () => undefined;
  const limits = { maxConnections: 1, connectTimeoutMs, statementTimeoutMs: 0 };
  // Whatever pooler there is between.
  const db = openDatabase({ ...limits, url, preparedStatements: false, onConnectionError });
  try {
    await withDatabaseErrors(() => sql`select 1`.execute(db));
    return await use(db);
  } catch (error) {
    if (error instanceof SessiondError && error.reason === "DATABASE_UNAVAILABLE") {
      throw new DatabaseUnreachable("the database does not answer", { cause: error.cause });
    }
    throw error;
  } finally {
    await db.destroy();
  }
}
