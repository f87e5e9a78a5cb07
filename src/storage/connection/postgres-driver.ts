import { CompiledQuery, type Driver } from "kysely";
import type { Pool } from "pg";
import { explainedConnectError, isPoolExhausted } from "./database-errors.ts";
import { type DriverOptions, PostgresConnection } from "./postgres-connection.ts";
import { ServerClient } from "./server-client.ts";
import { StatementTexts } from "./statement-texts.ts";

const commit = CompiledQuery.raw("commit");
const rollback = CompiledQuery.raw("rollback");

/**
 * Kysely's driver on a pool of `pg`. Unlike Kysely's own it prepares statements, keeps them within bounds, and lets them carry the
 * settings and checks that the promises of the store depend on; see {@link PostgresConnection}.
 *
 * With `prepare`, a connection prepares each statement with parameters once, so that the database parses and plans it once.
 * A prepared statement fails if its result gets other columns. Statements therefore name their columns, so that a newer
 * release may add columns while this one runs.
 */
export class PostgresDriver implements Driver {
  readonly #pool: Pool;
  readonly #options: DriverOptions;
  readonly #connections = new WeakMap<ServerClient, PostgresConnection>();
  readonly #texts = new StatementTexts();

  constructor(pool: Pool, options: DriverOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    const client = await this.#connect();
    const known = this.#connections.get(client);
    if (known !== undefined) return known;
    const { session } = client;
    if (session === undefined) throw new Error("the connection is not prepared");
    const connection = new PostgresConnection(client, session, this.#texts, this.#options);
    this.#connections.set(client, connection);
    return connection;
  }

  async beginTransaction(connection: PostgresConnection): Promise<void> {
    connection.begin();
  }

  async commitTransaction(connection: PostgresConnection): Promise<void> {
    await connection.end(() => connection.executeQuery(commit));
  }

  async rollbackTransaction(connection: PostgresConnection): Promise<void> {
    try {
      await connection.end(() => connection.executeQuery(rollback));
    } catch (error) {
      connection.isBroken = true;
      throw error;
    }
  }

  async releaseConnection({ client, isBroken }: PostgresConnection): Promise<void> {
    release(client, isBroken);
  }

  destroy(): Promise<void> {
    return this.#pool.end();
  }

  /** Takes a connection of the current generation, to the first host that accepts. Tries each once. */
  async #connect(): Promise<ServerClient> {
    const { hosts } = this.#options;
    for (let tries = 1; ;) {
      const tried = hosts.current;
      try {
        const client = await this.#pool.connect();
        if (!(client instanceof ServerClient)) throw new Error("unexpected kind of client");
        if (client.isCurrent) return client;
        release(client, true);
      } catch (error) {
        if (isPoolExhausted(error)) throw error;
        hosts.leave(tried);
        if (tries >= hosts.count) throw explainedConnectError(error);
        tries++;
      }
    }
  }
}

/** Gives a connection back to its pool, which keeps it if it is of the current generation. */
function release(client: ServerClient, destroy: boolean): void {
  if (!("release" in client) || typeof client.release !== "function") {
    throw new Error("not a client of a pool");
  }
  client.release(destroy || !client.isCurrent);
}
