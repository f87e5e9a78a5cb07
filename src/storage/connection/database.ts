import { Socket } from "node:net";
import {
  Kysely,
  type KyselyProps,
  type LogConfig,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { Client, type ClientBase, Pool } from "pg";
import type { StatementBounds } from "./bounded-statement.ts";
import { Hosts } from "./hosts.ts";
import { PostgresConnection, PostgresDriver } from "./postgres-driver.ts";
import type { Tables } from "../schema/tables.ts";
import { getTypeParser } from "./pg-types.ts";

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`, or several hosts if there are standbys; see {@link Hosts}. */
  readonly url: string;
  readonly maxConnections: number;
  /** How long to wait for a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Longest duration of a statement, in milliseconds; 0 for no limit, which migrations need. */
  readonly statementTimeoutMs: number;
  /** Called for each connection that broke, idle or in use. The pool replaces it. */
  readonly onConnectionError: (error: Error) => void;
  /** Whether connections keep prepared statements; true by default. Some poolers do not support them. */
  readonly preparedStatements?: boolean;
  /** Receives a function that reports how the pool is used. */
  readonly onPool?: (use: () => PoolUse) => void;
}

export interface PoolUse {
  readonly open: number;
  readonly idle: number;
  /** Statements that wait for a connection. */
  readonly waiting: number;
}

/** Opens a pool of connections. Nothing is connected before the first query. */
export function openDatabase(options: DatabaseOptions, log: LogConfig = []): Database {
  const hosts = new Hosts(options.url);
  const { preparedStatements: prepare = true, statementTimeoutMs, onConnectionError } = options;
  const pool = openPool(options, hosts);
  return new Database(
    new PostgresDriver(pool, { hosts, prepare, statementTimeoutMs, onConnectionError }),
    log,
  );
}

/** A Kysely whose statements can be kept within bounds. */
export class Database extends Kysely<Tables> {
  readonly #props: Omit<KyselyProps, "executor">;

  constructor(driver: PostgresDriver, log: LogConfig) {
    const dialect = {
      createDriver: () => driver,
      createAdapter: () => new PostgresAdapter(),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createIntrospector: (db: Kysely<unknown>) => new PostgresIntrospector(db),
    };
    super({ dialect, log });
    this.#props = { config: { dialect }, dialect, driver };
  }

  /** The same database with each of its statements within `bounds`. */
  within(bounds: StatementBounds): Kysely<Tables> {
    const executor = this.getExecutor();
    const bounded = executor.withConnectionProvider({
      provideConnection: (use) =>
        executor.provideConnection(async (connection) => {
          if (!(connection instanceof PostgresConnection)) throw new Error("unexpected kind of connection");
          connection.bounds = bounds;
          try {
            return await use(connection);
          } finally {
            connection.bounds = undefined;
          }
        }),
    });
    return new Kysely<Tables>({ ...this.#props, executor: bounded });
  }
}

/**
 * Each new connection is prepared by the pool, not by Kysely's `onCreateConnection`, which never releases a connection that
 * breaks meanwhile.
 */
function openPool(options: DatabaseOptions, hosts: Hosts): Pool {
  const pool = new Pool({
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    application_name: "sessiond",
    keepAlive: true,
    types: { getTypeParser },
    // Sends the bounds of a statement together with it.
    pipeline: true,
    verify: (client, done) => {
      prepareConnection(client, options).then(() => done(), done);
    },
  });
  // Each connection goes to the host that is current at the time.
  Object.defineProperty(pool.options, "connectionString", { get: () => hosts.current, enumerable: true });
  watchConnections(pool, options);
  options.onPool?.(() => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }));
  return pool;
}

/** Error text if no host of the database accepts writes. */
export const readOnly = "the database takes no writes: it is a standby";

/**
 * Applies {@link sessionSettings} to a new connection. Rejects a standby even for reads, because it may not have received
 * the newest revocations.
 */
async function prepareConnection(client: ClientBase, options: DatabaseOptions): Promise<void> {
  const { rows } = await client.query<{ read_only: string }>(sessionSettings(maxSilenceOf(options)));
  if (rows[0]?.read_only === "on") throw new Error(readOnly);
}

/** Handles the errors of idle and used connections. Without a listener, an error of a used one would end the process. */
function watchConnections(pool: Pool, options: DatabaseOptions): void {
  pool.on("connect", (client) => client.on("error", options.onConnectionError));
  pool.on("error", () => undefined); // reported by the connection itself
  pool.on("acquire", (client) => watchSilence(client, options));
  pool.on("release", (_, client) => watchSilence(client, undefined));
}

/** Error text for a connection that was closed because the database sent nothing. */
export const silent = "the database was silent for longer than a statement may run";

/** How long a connection in use may be silent, in milliseconds; 0 for no limit. */
function maxSilenceOf({ statementTimeoutMs, connectTimeoutMs }: DatabaseOptions): number {
  return statementTimeoutMs && statementTimeoutMs + connectTimeoutMs;
}

/**
 * Closes a connection in use that is silent for longer than a statement may run: the host or the network has failed, which
 * TCP would report hours later. Undefined stops watching.
 */
function watchSilence(client: ClientBase, limits: DatabaseOptions | undefined): void {
  if (!(client instanceof Client)) return;
  const { stream } = client.connection;
  if (!(stream instanceof Socket)) return;
  stream.removeAllListeners("timeout").setTimeout(limits === undefined ? 0 : maxSilenceOf(limits));
  stream.once("timeout", () => stream.destroy(new Error(silent)));
}

/**
 * Settings of a connection, independent of the database's defaults.
 *
 * - The promises rest on the first two: each statement sees what was committed before it started, and a commit is durable here
 *   and on synchronous standbys before it is acknowledged. The stronger `remote_apply` is kept.
 * - Plans: a prepared statement is planned once for all parameters, and with indexes even while its tables are small. Planning
 *   a look-up by id costs Postgres four times as much as running it.
 * - Times are sent in the one format that is parsed fast.
 * - The database ends a transaction whose client has failed. Otherwise its locks, such as that of a project's revisions, would
 *   block other calls.
 */
const sessionSettings = (silence: number) => `
  select current_setting('transaction_read_only') as read_only,
         set_config('default_transaction_isolation', 'read committed', false),
         set_config('synchronous_commit',
           case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, false),
         array(select set_config(name, setting, false)
           from (values ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'),
             ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('client_min_messages', 'warning'),
             ('idle_in_transaction_session_timeout', '${silence}')) wanted (name, setting)
           where name in (select name from pg_settings))`;
