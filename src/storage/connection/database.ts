import { Socket } from "node:net";
import {
  Kysely,
  type KyselyProps,
  type LogConfig,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { type ClientBase, Pool } from "pg";
import type { StatementScope } from "./bounded-statement.ts";
import { DatabaseFailure, isIdleTimeout } from "./database-errors.ts";
import { Hosts } from "./hosts.ts";
import { PostgresConnection } from "./postgres-connection.ts";
import { PostgresDriver } from "./postgres-driver.ts";
import { ServerClient } from "./server-client.ts";
import { type ServerGuard, anyPrimary } from "./server-guard.ts";
import { openSession } from "./session.ts";
import type { Tables } from "../schema/tables.ts";
import { getTypeParser } from "./pg-types.ts";

export interface DatabaseOptions {
  /**
   * `postgres://user:password@host:port/database`, or several hosts if there are standbys. Pools that share a {@link Hosts} learn
   * from each other.
   */
  readonly url: string | Hosts;
  readonly maxConnections: number;
  /** How long to wait for a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Longest duration of a statement, in milliseconds; 0 for no limit, which migrations need. */
  readonly statementTimeoutMs: number;
  /** Called for each connection that broke, idle or in use. The pool replaces it. */
  readonly onConnectionError: (error: Error) => void;
  /** Decides whether answers of the connected server may be used; by default those of every primary. */
  readonly guard?: ServerGuard;
  /** Whether connections keep prepared statements; true by default. Some poolers do not support them. */
  readonly preparedStatements?: boolean | undefined;
  /** Called when a pooler has lost a prepared statement. From then on none are made, as if `preparedStatements` were false. */
  readonly onPreparedStatementsLost?: ((error: Error) => void) | undefined;
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
  const hosts = typeof options.url === "string" ? new Hosts(options.url) : options.url;
  const { guard = anyPrimary, preparedStatements: prepare = true, statementTimeoutMs } = options;
  const { onPreparedStatementsLost } = options;
  const onLost = (client: ServerClient, error: Error) => connectionLost(client, error, options);
  const pool = openPool(options, hosts);
  const driver = { hosts, guard, prepare, statementTimeoutMs, onLost, onPreparedStatementsLost };
  return new Database(new PostgresDriver(pool, driver), log);
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

  /** The same database with each of its statements in `scope`. */
  within(scope: StatementScope): Kysely<Tables> {
    const executor = this.getExecutor();
    const scoped = executor.withConnectionProvider({
      provideConnection: (use) =>
        executor.provideConnection(async (connection) => {
          if (!(connection instanceof PostgresConnection)) throw new Error("unexpected kind of connection");
          connection.scope = scope;
          try {
            return await use(connection);
          } finally {
            connection.scope = undefined;
          }
        }),
    });
    return new Kysely<Tables>({ ...this.#props, executor: scoped });
  }
}

/**
 * Each new connection is prepared by the pool, not by Kysely's `onCreateConnection`, which never releases a connection that
 * breaks meanwhile.
 */
function openPool(options: DatabaseOptions, hosts: Hosts): Pool {
  const config = {
    hosts,
    Client: ServerClient,
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    application_name: "sessiond",
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser },
    // Sends the parts of a transaction together.
    pipeline: true,
    verify: (client: ClientBase, done: (error?: Error) => void) => {
      prepareConnection(client, options).then(() => done(), done);
    },
  };
  const pool = new Pool(config);
  watchConnections(pool, options);
  options.onPool?.(() => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }));
  return pool;
}

async function prepareConnection(client: ClientBase, options: DatabaseOptions): Promise<void> {
  if (!(client instanceof ServerClient)) throw new Error("unexpected kind of client");
  const { statementTimeoutMs } = options;
  client.session = await openSession(client, { statementTimeoutMs, maxSilenceMs: maxSilenceOf(options) });
  client.generation = client.hosts.connected(client.url, client.generation);
}

/** Handles the errors of idle and used connections. Without a listener, an error of a used one would end the process. */
function watchConnections(pool: Pool, options: DatabaseOptions): void {
  pool.on("connect", (client) => client.on("error", (error) => connectionLost(client, error, options)));
  pool.on("error", () => undefined); // reported by the connection itself
  pool.on("acquire", (client) => {
    watchSilence(client, options);
    if (client instanceof ServerClient) client.hosts.began(client);
  });
  pool.on("release", (_, client) => {
    watchSilence(client, undefined);
    if (client instanceof ServerClient) client.hosts.ended(client);
  });
}

/** Reports a lost connection. If its host is to blame, the pools discard all connections to it. */
function connectionLost(client: ClientBase, error: Error, { onConnectionError }: DatabaseOptions): void {
  if (client instanceof ServerClient && !isIdleTimeout(error)) {
    // The host is silent or a standby: others are tried first.
    if (error instanceof DatabaseFailure) client.hosts.leave(client.url);
    client.hosts.invalidate(client.generation);
  }
  onConnectionError(error);
}

/** Error text for a connection that was closed because the database sent nothing. */
const silent = "the database was silent for longer than a statement may run";

/** How long a connection in use may be silent, in milliseconds; 0 for no limit. */
function maxSilenceOf({ statementTimeoutMs, connectTimeoutMs }: DatabaseOptions): number {
  return statementTimeoutMs && statementTimeoutMs + connectTimeoutMs;
}

/**
 * Closes a connection in use that is silent for longer than a statement may run: the host or the network has failed, which
 * TCP would report hours later. Undefined stops watching.
 */
function watchSilence(client: ClientBase, limits: DatabaseOptions | undefined): void {
  if (!(client instanceof ServerClient)) return;
  const { stream } = client.connection;
  if (!(stream instanceof Socket)) return;
  stream.removeAllListeners("timeout").setTimeout(limits === undefined ? 0 : maxSilenceOf(limits));
  stream.once("timeout", () => stream.destroy(new DatabaseFailure(silent)));
}
