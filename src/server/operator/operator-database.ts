import { constants } from "node:os";
import { type Kysely, sql } from "kysely";
import { SessiondError } from "../../domain/errors.ts";
import { embeddedPostgresUrl, hasCluster } from "../../embedded-postgres/cluster.ts";
import { startEmbeddedPostgres } from "../../embedded-postgres/supervisor.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../../storage/connection/database.ts";
import { DatabaseFailure, withDatabaseErrors } from "../../storage/connection/database-errors.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import type { DatabaseConfig } from "../config/config.ts";

/** The database does not answer, or cannot be used. The message or the cause has the reason. */
export class DatabaseUnreachable extends Error {
  override readonly name = "DatabaseUnreachable";
}

/**
 * Runs `use` on a pool that is closed afterwards, without prepared statements, so that any pooler may be in between. Throws
 * DatabaseUnreachable instead of DATABASE_UNAVAILABLE.
 */
export async function useDatabase<T>(
  options: Omit<DatabaseOptions, "preparedStatements">,
  use: (db: Database) => Promise<T>,
): Promise<T> {
  const db = openDatabase({ ...options, preparedStatements: false });
  try {
    return await use(db);
  } catch (error) {
    if (error instanceof SessiondError && error.reason === "DATABASE_UNAVAILABLE") {
      const { cause } = error;
      throw cause instanceof DatabaseFailure
        ? new DatabaseUnreachable(cause.message, { cause: cause.cause })
        : new DatabaseUnreachable("the database does not answer", { cause });
    }
    throw error;
  } finally {
    await db.destroy();
  }
}

/**
 * Runs `use` on the configured database, for a command that runs beside the service or before it. Without DATABASE_URL that is
 * the embedded PostgreSQL: the one that a running service has started, or else one started for the duration of the call. If
 * there is no embedded database yet, it is created, or with `create: false` the result is undefined. Statements have no timeout.
 * Throws DatabaseUnreachable.
 */
export async function withOperatorDatabase<T>(
  config: DatabaseConfig,
  { create }: { readonly create: boolean },
  use: (db: Kysely<Tables>, url: string) => Promise<T>,
): Promise<T | undefined> {
  if (config.directUrl !== undefined) return connect(config.directUrl, config, use);
  const { dataDirectory: directory } = config;
  const url = await embeddedPostgresUrl(directory);
  if (url !== undefined && (await isReachable(url, config))) return connect(url, config, use);
  if (!create && !hasCluster(directory)) return undefined;
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, exitBy);
  try {
    const postgres = await startEmbeddedPostgres({ directory });
    try {
      return await connect(postgres.url, config, use);
    } finally {
      await postgres.stop();
    }
  } finally {
    for (const signal of signals) process.off(signal, exitBy);
  }
}

/** Ends the process with the exit status of the signal. Unlike the signal itself, an exit also stops the embedded PostgreSQL. */
export function exitBy(signal: NodeJS.Signals): never {
  process.exit(128 + constants.signals[signal]);
}

async function isReachable(url: string, config: DatabaseConfig): Promise<boolean> {
  return connect(url, config, async () => true).catch(() => false);
}

function connect<T>(
  url: string,
  { connectTimeoutMs }: DatabaseConfig,
  use: (db: Kysely<Tables>, url: string) => Promise<T>,
): Promise<T> {
  // A broken connection fails the statement that runs on it, which is reported.
  const onConnectionError = () => undefined;
  // The second connection renews leases.
  const options = { url, maxConnections: 2, connectTimeoutMs, statementTimeoutMs: 0, onConnectionError };
  return useDatabase(options, async (db) => {
    await withDatabaseErrors(() => sql`select 1`.execute(db));
    return use(db, url);
  });
}
