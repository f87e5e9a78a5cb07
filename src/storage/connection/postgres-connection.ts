import type { CompiledQuery, DatabaseConnection, QueryResult } from "kysely";
import { DatabaseError, type QueryConfig } from "pg";
import {
  type FencedRows,
  type StatementScope,
  requireCommit,
  runInTransaction,
  runRead,
  runWrite,
} from "./bounded-statement.ts";
import { DatabaseFailure, PreparedStatementLost, endsConnection } from "./database-errors.ts";
import type { Hosts } from "./hosts.ts";
import { toParameter } from "./pg-types.ts";
import type { ServerClient } from "./server-client.ts";
import type { ServerGuard } from "./server-guard.ts";
import { type Session, standby } from "./session.ts";
import type { KnownStatement, StatementText, StatementTexts } from "./statement-texts.ts";

export interface DriverOptions {
  /** The pool connects to the current one of these hosts. */
  readonly hosts: Hosts;
  readonly guard: ServerGuard;
  /** Whether connections keep prepared statements. */
  readonly prepare: boolean;
  /** Longest duration of a statement, in milliseconds; 0 for no limit. */
  readonly statementTimeoutMs: number;
  /** Called when the answer to a statement shows that the connection cannot be used any more. */
  readonly onLost: (client: ServerClient, error: Error) => void;
  /** Called when the path to the database has lost a prepared statement, at most once per {@link Hosts}. */
  readonly onPreparedStatementsLost: ((error: Error) => void) | undefined;
}

/** Error text for a commit that is durable here but perhaps on no standby: it may not outlive this host. */
const unconfirmedCommit = "the database stopped waiting for its synchronous standby";

/** How often a read runs if each answer comes from a newer primary than the one before. */
const maxReads = 3;

/**
 * A connection for as long as a call or batch uses it, or a transaction.
 *
 * In a scope, a statement outside of a transaction is a read if the scope or its own first word says so, and otherwise a write.
 * Without a scope it is sent as it is.
 */
export class PostgresConnection implements DatabaseConnection {
  scope: StatementScope | undefined;
  /** Whether to destroy the connection on release. The pool would notice its end later. */
  isBroken = false;
  readonly client: ServerClient;
  readonly session: Session;
  readonly #texts: StatementTexts;
  readonly #options: DriverOptions;
  /** "begins": the next statement begins it. "ends": the next statement is its commit or rollback. */
  #transaction: "none" | "begins" | "open" | "ends" = "none";
  #isUnconfirmed = false;

  constructor(client: ServerClient, session: Session, texts: StatementTexts, options: DriverOptions) {
    this.client = client;
    this.session = session;
    this.#texts = texts;
    this.#options = options;
    client.on("notice", (notice) => {
      if (isUnconfirmedCommit(notice)) this.#isUnconfirmed = true;
    });
  }

  async executeQuery<Row>({ sql: text, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const statement = this.#texts.of(text);
    const values = parameters.map(toParameter);
    const { scope } = this;
    if (
      this.#transaction === "none" &&
      scope !== undefined &&
      (scope.kind === "read" || statement.isSelect)
    ) {
      return { rows: (await this.#read(statement, values, scope)) as Row[] };
    }
    const config = this.#configOf(statement, values);
    const { command, rowCount, rows } = await this.#check(this.#run(config, scope), config);
    return command === "SELECT" ? { rows } : { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<Row>(): AsyncGenerator<QueryResult<Row>> {
    throw new Error("results are not streamed: no cursor is configured");
  }

  /** Begins a transaction with its first statement, which saves a round trip. */
  begin(): void {
    this.#transaction = "begins";
  }

  /** Ends a transaction with `run`, which executes the commit or rollback. Does nothing if no statement ran in it. */
  async end(run: () => Promise<unknown>): Promise<void> {
    const hasBegun = this.#transaction !== "begins";
    this.#transaction = "ends";
    try {
      if (hasBegun) await run();
    } finally {
      this.#transaction = "none";
    }
  }

  #run(config: QueryConfig, scope: StatementScope | undefined) {
    const { client, session } = this;
    const { statementTimeoutMs } = this.#options;
    const transaction = this.#transaction;
    switch (transaction) {
      case "none":
        return scope === undefined
          ? client.query(config)
          : runWrite(client, config, session.begin, statementTimeoutMs, scope);
      case "begins":
      case "open": {
        const begin = transaction === "begins" ? session.begin : undefined;
        this.#transaction = "open";
        return runInTransaction(client, config, begin, statementTimeoutMs, scope);
      }
      case "ends":
        return client.query(config).then((result) => {
          if (config.text === "commit") requireCommit(result);
          return result;
        });
    }
  }

  async #read(statement: KnownStatement, values: unknown[], scope: StatementScope): Promise<unknown[]> {
    const { client, session } = this;
    const config = this.#configOf(statement.fencedBy(session.fence), values);
    const { statementTimeoutMs: timeoutMs } = this.#options;
    const timeout = { timeoutMs, isKept: !session.isPooled };
    for (let reads = 1; reads <= maxReads; reads++) {
      const { rows, timeline } = await this.#check<FencedRows>(
        runRead(client, config, scope, timeout),
        config,
      );
      if (timeline === null) throw this.#lose(new DatabaseFailure(standby));
      const seen = timeline === "" ? undefined : Number.parseInt(timeline, 16);
      if (this.#options.guard.admit(seen) === "use") return rows;
    }
    throw new DatabaseFailure("each answer came from a newer primary than the one before");
  }

  #configOf({ text, name }: StatementText, values: unknown[]): QueryConfig {
    const { prepare, hosts } = this.#options;
    const isNamed = prepare && values.length > 0 && hosts.keepPreparedStatements;
    return isNamed ? { name, text, values } : { text, values };
  }

  async #check<Result>(running: Promise<Result>, config: QueryConfig): Promise<Result> {
    try {
      const result = await running;
      if (!this.#isUnconfirmed) return result;
    } catch (error) {
      throw this.#explained(error, config);
    }
    this.#isUnconfirmed = false;
    throw new DatabaseFailure(unconfirmedCommit);
  }

  #explained(error: unknown, { name }: QueryConfig): unknown {
    if (!(error instanceof DatabaseError)) return error;
    const { code = "" } = error;
    if (isRefusedBegin(error)) return this.#lose(new DatabaseFailure(standby, { cause: error }));
    if (endsConnection(error)) this.#lose(error);
    const losesStatements = lostStatement.test(code) || (this.session.isPooled && confusedPooler.test(code));
    if (name === undefined || !losesStatements) return error;
    const { hosts, onPreparedStatementsLost } = this.#options;
    if (hosts.keepPreparedStatements) onPreparedStatementsLost?.(error);
    hosts.keepPreparedStatements = false;
    return lostStatement.test(code) ? new PreparedStatementLost(error) : error;
  }

  /** Destroys the connection on release. If the host is to blame, so are its other connections. */
  #lose(error: Error): Error {
    this.isBroken = true;
    this.#options.onLost(this.client, error);
    return error;
  }
}

/** SQLSTATEs of a pooler's server connection that lacks a prepared statement, or has it from another client. Nothing has run. */
const lostStatement = /^(26000|42P05)$/;

/** SQLSTATEs of poolers that do not support prepared statements. */
const confusedPooler = /^(08P01|0A000)$/;

/** Whether a standby refused `begin read write`. */
function isRefusedBegin({ code, routine }: DatabaseError): boolean {
  return code === "0A000" && routine === "check_transaction_read_only";
}

/**
 * Whether an operator cancelled the wait of a commit for its standby. The database reports the commit as done and adds this
 * notice. It is recognised by its place in the source, because messages are translated.
 */
function isUnconfirmedCommit({ routine }: { readonly routine?: string | undefined }): boolean {
  return routine === "SyncRepWaitForLSN";
}
