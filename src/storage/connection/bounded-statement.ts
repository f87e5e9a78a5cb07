import { DatabaseError, type QueryConfig, type QueryResult } from "pg";
import { SessiondError } from "../../domain/errors.ts";
import { requestCancel } from "./cancel-request.ts";
import { FencedQuery } from "./statement-texts.ts";
import type { ServerClient } from "./server-client.ts";

/** What the statements of a call or batch have in common. */
export interface StatementScope {
  /**
   * A read shows which server answered, and may be cancelled while it runs. A write runs in a transaction that sets all that it
   * depends on. It is not cancelled, because a cancel request arrives at any moment: a commit that waits for a standby would
   * stop waiting and look confirmed. The database's own timeout ends no commit.
   */
  readonly kind: "read" | "write";
  /** On the performance.now() clock; Infinity if only the general timeout applies. */
  readonly deadline: number;
  /** Cancels reads. */
  readonly signal: AbortSignal | undefined;
}

/** SQLSTATE query_canceled: the timeout, or a cancel request. */
const canceled = "57014";

/** Longest duration of a timer, in milliseconds. */
const maxTimer = 2 ** 31 - 1;

/** Failure of a statement that did not run, or not to its end, and had no effect. */
export function deadlineExceeded(cause?: unknown): SessiondError {
  return new SessiondError("DEADLINE_EXCEEDED", { cause });
}

/** Milliseconds until the deadline. Throws DEADLINE_EXCEEDED after it, or the signal's reason. */
function timeLeft({ deadline, signal }: StatementScope): number {
  const left = deadline - performance.now();
  if (left <= 0) throw deadlineExceeded();
  signal?.throwIfAborted();
  return left;
}

/** The general timeout of statements. */
export interface StatementTimeout {
  /** In milliseconds; 0 for none. */
  readonly timeoutMs: number;
  /** Whether the connection's session ends statements by it. */
  readonly isKept: boolean;
}

/**
 * Runs a fenced read, and ends it with a cancel request at its deadline, after the general timeout, or when the signal aborts.
 * DEADLINE_EXCEEDED or the signal's reason if it did not run or was ended.
 */
export async function runRead(
  client: ServerClient,
  statement: QueryConfig,
  scope: StatementScope,
  { timeoutMs, isKept }: StatementTimeout,
): Promise<FencedRows> {
  const left = timeLeft(scope);
  const { signal } = scope;
  const general = timeoutMs || Infinity;
  const limit = isKept && general <= left ? Infinity : Math.min(left, general);
  if (limit > maxTimer && signal === undefined) return ask(client, statement);
  let cancelling: Promise<void> | undefined;
  const cancel = () => void (cancelling ??= requestCancel(client));
  const timer = limit > maxTimer ? undefined : setTimeout(cancel, limit);
  signal?.addEventListener("abort", cancel);
  try {
    return await ask(client, statement);
  } catch (error) {
    if (!isCanceled(error) || cancelling === undefined) throw error;
    signal?.throwIfAborted();
    throw left === limit ? deadlineExceeded(error) : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    // A late cancel request would end the connection's next statement.
    await cancelling;
  }
}

export interface FencedRows {
  readonly rows: unknown[];
  /** See {@link FencedQuery}. */
  readonly timeline: string | null;
}

function ask(client: ServerClient, statement: QueryConfig): Promise<FencedRows> {
  return new Promise((resolve, reject) => {
    const query = new FencedQuery(statement, (error, result?: { rows: unknown[] }) => {
      if (result === undefined) reject(error ?? new Error("no outcome"));
      else resolve({ rows: result.rows, timeline: query.timeline });
    });
    client.query(query);
  });
}

/**
 * Runs a write as a transaction of its own, in one write to the connection: it costs one round trip, and its locks never wait
 * for this process. DEADLINE_EXCEEDED if the scope's deadline ended it; then it has had no effect.
 */
export function runWrite(
  client: ServerClient,
  statement: QueryConfig,
  begin: string,
  timeoutMs: number,
  scope: StatementScope,
): Promise<QueryResult> {
  return withinDeadline(scope, timeoutMs, async (timeout) => {
    const [begun, result, committed] = await Promise.allSettled(
      client.inOneWrite(() => [
        client.query(begin + timeout),
        client.query(statement),
        client.query("commit"),
      ]),
    );
    // After a failure the commit is a rollback, and the failure is the outcome.
    for (const outcome of [begun, result, committed]) {
      if (outcome?.status === "rejected") throw outcome.reason;
    }
    if (result?.status !== "fulfilled" || committed?.status !== "fulfilled") throw new Error("no outcome");
    requireCommit(committed.value);
    return result.value;
  });
}

/** The database answers a commit with ROLLBACK if the transaction had failed. */
export function requireCommit({ command }: QueryResult): void {
  if (command === "ROLLBACK") throw new Error("the database rolled the transaction back");
}

/**
 * Runs a statement of an open transaction. `begin`, if it is the first one, is sent with it. `scope` is undefined for statements
 * without a deadline.
 */
export function runInTransaction(
  client: ServerClient,
  statement: QueryConfig,
  begin: string | undefined,
  timeoutMs: number,
  scope: StatementScope | undefined,
): Promise<QueryResult> {
  return withinDeadline(scope, timeoutMs, async (timeout) => {
    const isTighter = timeout !== timeoutMs;
    if (begin === undefined && !isTighter) return client.query(statement);
    const before = begin === undefined ? `set local statement_timeout = ${timeout}` : begin + timeout;
    const [set, result] = await Promise.allSettled(
      client.inOneWrite(() => [client.query(before), client.query(statement)]),
    );
    for (const outcome of [set, result]) if (outcome?.status === "rejected") throw outcome.reason;
    if (result?.status !== "fulfilled") throw new Error("no outcome");
    return result.value;
  });
}

/** Runs a write with the time that is left as its timeout, or with the general one if that is shorter. */
async function withinDeadline(
  scope: StatementScope | undefined,
  timeoutMs: number,
  run: (timeoutMs: number) => Promise<QueryResult>,
): Promise<QueryResult> {
  const left = scope === undefined ? Infinity : timeLeft(scope);
  if (left >= (timeoutMs || maxTimer)) return run(timeoutMs);
  try {
    return await run(Math.ceil(left));
  } catch (error) {
    throw isCanceled(error) ? deadlineExceeded(error) : error;
  }
}

function isCanceled(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === canceled;
}
