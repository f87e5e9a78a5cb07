import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import { type CustomTypesConfig, Pool, types } from "pg";
import type { Tables } from "./tables.ts";

/** How to reach the database. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** Most connections at once. */
  readonly maxConnections: number;
  /** How long to wait for a connection, in milliseconds. */
  readonly connectTimeout: number;
  /** How long a statement may run, in milliseconds. */
  readonly statementTimeout: number;
  /** Told of connections that broke while idle; the pool makes new ones by itself. */
  readonly onConnectionError: (error: Error) => void;
}

/** Opens a pool of connections. Nothing is connected before the first query. */
export function openDatabase(options: DatabaseOptions): Kysely<Tables> {
  const pool = new Pool({
    connectionString: options.url,
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeout,
    statement_timeout: options.statementTimeout,
    application_name: "sessiond",
    keepAlive: true,
    types: { getTypeParser },
  });
  pool.on("error", options.onConnectionError);
  return new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool,
      onCreateConnection: async (connection) => {
        await connection.executeQuery(CompiledQuery.raw(sessionSettings));
      },
    }),
  });
}

/**
 * What every promise rests on, whatever the database's defaults: a commit is durable before it is acknowledged (a stronger
 * setting such as remote_apply is kept), and each statement sees what was committed before it started.
 */
const sessionSettings = `
  select set_config('default_transaction_isolation', 'read committed', false),
         set_config('synchronous_commit', 'on', false)
    where current_setting('synchronous_commit') in ('off', 'local')
  union all
  select set_config('default_transaction_isolation', 'read committed', false), null
    where current_setting('synchronous_commit') not in ('off', 'local')`;

/** Revisions and counts are int8 and stay far below 2^53. */
const getTypeParser: CustomTypesConfig["getTypeParser"] = (oid, format) =>
  oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format);
