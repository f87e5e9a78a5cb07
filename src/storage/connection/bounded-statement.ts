import { DatabaseError, type PoolClient, type QueryConfig, type QueryResult } from "pg";
import { requestCancel } from "./cancel-request.ts";
import { type StatementBounds, outOfTime } from "./statement-bounds.ts";

/** SQLSTATE query_canceled: the timeout, or a cancel request. */
const canceled = "57014";

/** Runs one statement within bounds. */
export interface BoundedStatement {
  readonly client: PoolClient;
  readonly statement: QueryConfig;
  readonly bounds: StatementBounds;
  /** Whether a transaction is open. */
  readonly inTransaction: boolean;
  /** How long any statement may run, in milliseconds; 0 for as long as it takes. */
  readonly statementTimeoutMs: number;
}

/**
 * Runs a statement that must not go on beyond its bounds. DEADLINE_EXCEEDED where it did not run or was ended, and so did
 * nothing; what the signal has as its reason where that ended it.
 */
export async function runBounded(init: BoundedStatement): Promise<QueryResult> {
  const { client, statement, bounds, statementTimeoutMs } = init;
  const left = bounds.deadline - performance.now();
  if (left <= 0) throw outOfTime();
  bounds.signal?.throwIfAborted();
  const isTighter = left < (statementTimeoutMs || Infinity);
  if (bounds.canCancel) return runCancellably(init, isTighter ? left : undefined);
  if (!isTighter) return client.query(statement);
  try {
    return await runWithTimeout(init, Math.ceil(left));
  } catch (error) {
    throw isCanceled(error) ? outOfTime(error) : error;
  }
}

/** Lets the database end a statement that writes. All is sent at once, so that it takes no longer. */
async function runWithTimeout(
  { client, statement, inTransaction }: BoundedStatement,
  timeout: number,
): Promise<QueryResult> {
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
  // A commit after a failure is a rollback: then the failure is what happened.
  for (const outcome of [begun, result, committed]) if (outcome.status === "rejected") throw outcome.reason;
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** Ends a statement that reads with a cancel request, after `timeout` milliseconds or when the signal says so. */
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
    throw outOfTime(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    // Lest it ends the connection's next statement.
    await cancelling;
  }
}

function isCanceled(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === canceled;
}
