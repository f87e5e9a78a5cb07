import { DatabaseError, type PoolClient, type QueryConfig, type QueryResult } from "pg";
import { SessiondError } from "../../domain/errors.ts";
import { requestCancel } from "./cancel-request.ts";

export interface StatementBounds {
  /** On the performance.now() clock; Infinity if only the general timeout applies. */
  readonly deadline: number;
  /**
   * Whether a cancel request may end them. Not for writes, because a cancel request arrives at any moment: a commit that waits
   * for a standby would stop waiting and look confirmed. The database's own timeout ends no commit.
   */
  readonly canCancel: boolean;
  /** Cancels reads. */
  readonly signal: AbortSignal | undefined;
}

/** SQLSTATE query_canceled: the timeout, or a cancel request. */
const canceled = "57014";

export interface BoundedStatement {
  readonly client: PoolClient;
  readonly statement: QueryConfig;
  readonly bounds: StatementBounds;
  readonly inTransaction: boolean;
  /** Longest duration of any statement, in milliseconds; 0 for no limit. */
  readonly statementTimeoutMs: number;
}

/**
 * Runs a statement within its bounds. DEADLINE_EXCEEDED, or the signal's reason, if it did not run or was ended; then it has
 * had no effect.
 */
export async function runBounded(init: BoundedStatement): Promise<QueryResult> {
  const { client, statement, bounds, statementTimeoutMs } = init;
  const left = bounds.deadline - performance.now();
  if (left <= 0) throw deadlineExceeded();
  bounds.signal?.throwIfAborted();
  const isTighter = left < (statementTimeoutMs || Infinity);
  if (bounds.canCancel) return runCancellably(init, isTighter ? left : undefined);
  if (!isTighter) return client.query(statement);
  try {
    return await runWithTimeout(init, Math.ceil(left));
  } catch (error) {
    throw isCanceled(error) ? deadlineExceeded(error) : error;
  }
}

/** Failure of a statement that did not run, or not to its end, and had no effect. */
export function deadlineExceeded(cause?: unknown): SessiondError {
  return new SessiondError("DEADLINE_EXCEEDED", { cause });
}

/** Runs a write with a timeout of the database. The statements are pipelined, so that the timeout adds no round trip. */
async function runWithTimeout({ client, statement, inTransaction }: BoundedStatement, timeout: number) {
  const set = `set local statement_timeout = ${timeout}`;
  if (inTransaction) {
    const [, result] = await Promise.all([client.query(set), client.query(statement)]);
    return result;
  }
  const [begun, result, committed] = await Promise.allSettled([
    client.query(`begin; ${set}`),
    client.query(statement),
    client.query("commit"),
  ]);
  // After a failure the commit is a rollback, and the failure is the outcome.
  for (const outcome of [begun, result, committed]) if (outcome.status === "rejected") throw outcome.reason;
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** Runs a read, and ends it with a cancel request after `timeout` milliseconds or when the signal aborts. */
async function runCancellably(
  { client, statement, bounds: { signal } }: BoundedStatement,
  timeout: number | undefined,
): Promise<QueryResult> {
  let cancelling: Promise<void> | undefined;
  const cancel = () => void (cancelling ??= requestCancel(client));
  const timer = timeout === undefined ? undefined : setTimeout(cancel, timeout);
  signal?.addEventListener("abort", cancel);
  try {
    return await client.query(statement);
  } catch (error) {
    if (!isCanceled(error) || cancelling === undefined) throw error;
    signal?.throwIfAborted();
    throw deadlineExceeded(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    // A late cancel request would end the connection's next statement.
    await cancelling;
  }
}

function isCanceled(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === canceled;
}
