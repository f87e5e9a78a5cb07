import { createHash } from "node:crypto";
import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from "kysely";
import { DatabaseError, type QueryResult as PgResult, type Pool, type PoolClient } from "pg";
import type { Hosts } from "./hosts.ts";
import { type StatementBounds, runBounded } from "./bounded-statement.ts";
import { toParameter } from "./pg-types.ts";

export interface PostgresDriverOptions {
  /** The pool connects to the current one of these hosts. */
  readonly hosts: Hosts;
  /** Whether connections keep prepared statements. */
  readonly prepare: boolean;
  /** Longest duration of a statement, in milliseconds; 0 for no limit. */
  readonly statementTimeoutMs: number;
  /** Called when the database ended a connection with its answer to a statement. */
  readonly onConnectionError: (error: Error) => void;
}

/**
 * Kysely's driver on a pool of `pg`. Unlike Kysely's own it prepares statements and keeps them within bounds.
 *
 * With `prepare`, a connection prepares each statement with parameters once, so that the database parses and plans it once.
 * The number of different texts is bounded by the source code: values are always parameters, and those of a batch are arrays.
 * A prepared statement fails if its result gets other columns. Statements therefore name their columns, so that a newer
 * release may add columns while this one runs.
 */
export class PostgresDriver implements Driver {
  readonly #pool: Pool;
  readonly #options: PostgresDriverOptions;
  readonly #connections = new WeakMap<PoolClient, PostgresConnection>();
  readonly #names = new Map<string, string>();

  constructor(pool: Pool, options: PostgresDriverOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    const client = await this.#connect();
    const known = this.#connections.get(client);
    if (known !== undefined) return known;
    const { prepare } = this.#options;
    const nameOf = prepare ? (text: string) => this.#nameOf(text) : undefined;
    const connection = new PostgresConnection(client, nameOf, this.#options);
    this.#connections.set(client, connection);
    return connection;
  }

  async beginTransaction(connection: PostgresConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin"));
    connection.inTransaction = true;
  }

  async commitTransaction(connection: PostgresConnection): Promise<void> {
    connection.inTransaction = false;
    await connection.executeQuery(CompiledQuery.raw("commit"));
    if (connection.lastCommand === "ROLLBACK") throw new Error("the database rolled the transaction back");
  }

  async rollbackTransaction(connection: PostgresConnection): Promise<void> {
    connection.inTransaction = false;
    try {
      await connection.executeQuery(CompiledQuery.raw("rollback"));
    } catch (error) {
      connection.isBroken = true;
      throw error;
    }
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.release();
  }

  destroy(): Promise<void> {
    return this.#pool.end();
  }

  /** Connects to the first host that accepts, trying each once. */
  async #connect(): Promise<PoolClient> {
    const { hosts } = this.#options;
    for (let tries = 1; ; tries++) {
      const tried = hosts.current;
      try {
        return await this.#pool.connect();
      } catch (error) {
        hosts.leave(tried);
        if (tries >= hosts.count) throw error;
      }
    }
  }

  /** Derives a statement's name from its text, so that a pooler can share it between replicas. */
  #nameOf(text: string): string {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const name = `s_${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
    this.#names.set(text, name);
    return name;
  }
}

export class PostgresConnection implements DatabaseConnection {
  /** Bounds of its statements, set for as long as a call or batch uses the connection. */
  bounds: StatementBounds | undefined;
  inTransaction = false;
  /** Whether to destroy the connection on release. The pool would notice its end later. */
  isBroken = false;
  /** Command tag of the last statement. */
  lastCommand = "";
  readonly #client: PoolClient;
  readonly #nameOf: ((text: string) => string) | undefined;
  readonly #options: PostgresDriverOptions;
  #isUnconfirmed = false;

  constructor(
    client: PoolClient,
    nameOf: ((text: string) => string) | undefined,
    options: PostgresDriverOptions,
  ) {
    this.#client = client;
    this.#nameOf = nameOf;
    this.#options = options;
    client.on("notice", (notice) => {
      if (isUnconfirmedCommit(notice)) this.#isUnconfirmed = true;
    });
  }

  async executeQuery<Row>({ sql: text, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const name = this.#nameOf && parameters.length > 0 ? { name: this.#nameOf(text) } : {};
    const statement = { ...name, text, values: parameters.map(toParameter) };
    // Begin, commit and rollback have no parameters. They must not be refused after a deadline.
    const bounds = parameters.length === 0 ? undefined : this.bounds;
    const { statementTimeoutMs } = this.#options;
    const { inTransaction } = this;
    const { command, rowCount, rows } = await this.#check<Row>(
      bounds === undefined
        ? this.#client.query(statement)
        : runBounded({ client: this.#client, statement, bounds, inTransaction, statementTimeoutMs }),
    );
    this.lastCommand = command;
    return command === "SELECT" ? { rows } : { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<Row>(): AsyncGenerator<QueryResult<Row>> {
    throw new Error("results are not streamed: no cursor is configured");
  }

  release(): void {
    this.#client.release(this.isBroken);
  }

  async #check<Row>(running: Promise<PgResult>): Promise<PgResult & { rows: Row[] }> {
    try {
      const result = await running;
      if (!this.#isUnconfirmed) return result;
    } catch (error) {
      if (endsConnection(error)) {
        this.isBroken = true;
        this.#options.onConnectionError(error);
      }
      throw error;
    }
    this.#isUnconfirmed = false;
    throw new Error(unconfirmedCommit);
  }
}

/** Error text for a commit that is durable here but perhaps on no standby: it may not outlive this host. */
export const unconfirmedCommit = "the database stopped waiting for its synchronous standby";

/**
 * Whether an operator cancelled the wait of a commit for its standby. The database reports the commit as done and adds this
 * notice. It is recognised by its place in the source, because messages are translated.
 */
function isUnconfirmedCommit({ routine }: { readonly routine?: string | undefined }): boolean {
  return routine === "SyncRepWaitForLSN";
}

/** Whether the database ends the connection (classes 57P and 08) or has become a standby (25006). */
function endsConnection(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(57P|08|25006)/.test(error.code ?? "");
}
