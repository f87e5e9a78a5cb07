import { Socket } from "node:net";
import { Kysely, PostgresDialect } from "kysely";
import { Client, type ClientBase, Pool } from "pg";
import { Hosts } from "./hosts.ts";
import { pooledConnections } from "./pooled-connections.ts";
import type { Tables } from "../schema/tables.ts";
import { getTypeParser } from "./pg-types.ts";

/** How to reach the database. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`, with several hosts where there are standbys; see {@link Hosts}. */
  readonly url: string;
  /** Most connections at once. */
  readonly maxConnections: number;
  /** How long to wait for a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long a statement may run, in milliseconds; 0 for as long as it takes, as migrations need. */
  readonly statementTimeoutMs: number;
  /** Told of each connection that broke, idle or in use; the pool makes new ones by itself. */
  readonly onConnectionError: (error: Error) => void;
  /** Whether connections keep prepared statements, as they do by default; some poolers between cannot. */
  readonly preparedStatements?: boolean;
  /** Given a way to see how the pool is used. */
  readonly onPool?: (use: () => PoolUse) => void;
}

/** How many connections a pool has, and who waits for one. */
export interface PoolUse {
  readonly open: number;
  readonly idle: number;
  /** Statements that wait for a connection. */
  readonly waiting: number;
}

/** Opens a pool of connections. Nothing is connected before the first query. */
export function openDatabase(options: DatabaseOptions): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: databaseDialect(options) });
}

/**
 * How Kysely reaches the database. The settings are made by the pool and not by Kysely's `onCreateConnection`, which never
 * gives back a connection that broke meanwhile: each would be a place lost.
 */
export function databaseDialect(options: DatabaseOptions): PostgresDialect {
  const hosts = new Hosts(options.url);
  const pool = new Pool({
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    application_name: "sessiond",
    keepAlive: true,
    types: { getTypeParser },
    // What bounds a statement goes with it, rather than before it.
    pipeline: true,
    verify: (client, done) => {
      settle(client, options).then(() => done(), done);
    },
  });
  // Each connection goes to where the primary is then.
  Object.defineProperty(pool.options, "connectionString", { get: () => hosts.current, enumerable: true });
  watchConnections(pool, options);
  options.onPool?.(() => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }));
  const { preparedStatements: prepare = true, statementTimeoutMs, onConnectionError } = options;
  const connections = pooledConnections(pool, { hosts, prepare, statementTimeoutMs, onConnectionError });
  return new PostgresDialect({ pool: connections });
}

/** What a call is told where no host of the database is one that takes writes. */
export const readOnly = "the database takes no writes: it is a standby";

/**
 * Makes a new connection what the promises need, or fails. A standby is refused even for reading: it may not have heard of a
 * revocation yet.
 */
async function settle(client: ClientBase, options: DatabaseOptions): Promise<void> {
  const { rows } = await client.query<{ read_only: string }>(sessionSettings(longestSilence(options)));
  if (rows[0]?.read_only === "on") throw new Error(readOnly);
}

/** A connection breaks idle or in use: without a listener of its own, the latter would end the process. */
function watchConnections(pool: Pool, options: DatabaseOptions): void {
  pool.on("connect", (client) => client.on("error", options.onConnectionError));
  pool.on("error", () => undefined); // told by the connection itself
  pool.on("acquire", (client) => watchSilence(client, options));
  pool.on("release", (_, client) => watchSilence(client, undefined));
}

/** What a call is told whose connection was given up. */
export const silent = "the database was silent for longer than a statement may run";

/** How long who is still there may be silent while a connection is in use, in milliseconds; 0 for as long as it takes. */
function longestSilence({ statementTimeoutMs, connectTimeoutMs }: DatabaseOptions): number {
  return statementTimeoutMs && statementTimeoutMs + connectTimeoutMs;
}

/**
 * Gives up a connection in use that is silent for longer than the database lets a statement run: host or network are gone,
 * and it would be hours before TCP said so. Undefined ends the watch.
 */
function watchSilence(client: ClientBase, limits: DatabaseOptions | undefined): void {
  if (!(client instanceof Client)) return;
  const { stream } = client.connection;
  if (!(stream instanceof Socket)) return;
  stream.removeAllListeners("timeout").setTimeout(limits === undefined ? 0 : longestSilence(limits));
  stream.once("timeout", () => stream.destroy(new Error(silent)));
}

/**
 * First what every promise rests on, whatever the database's defaults: a commit is durable here and on synchronous standbys
 * before it is acknowledged (remote_apply, the one stronger setting, is kept), and each statement sees what was committed
 * before it started. Then what keeps plans, where the database has such settings: a prepared statement is planned once and
 * for all parameters, and by index even while its tables are small, as it stays when they have grown. Without the former a
 * look-up by id would be planned anew each time, which costs Postgres four times as much as to run it. Times come in the one
 * form that is read fast. And the database gives us up as we do it: a transaction whose client is gone, of which it would hear
 * as late, would else keep its locks, that of a project's revisions for one, and hold up everybody who needs them.
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
