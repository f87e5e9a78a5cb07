import type { ConcurrencyLimit } from "../../domain/concurrency-limit.ts";
import { type CallContext, unlimited } from "../../transport/call-context.ts";
import { type BatchLimits, Batcher } from "./batcher.ts";
import type { StatementScope } from "./bounded-statement.ts";
import type { Database } from "./database.ts";
import { isRepeatable, translated, withDatabaseErrors } from "./database-errors.ts";
import type { CommitGate } from "./server-guard.ts";
import type { Db } from "../schema/tables.ts";

export interface StatementRunnerOptions {
  readonly db: Database;
  readonly liveness: DatabaseLiveness;
  /** Limits how many calls and batch items wait here. */
  readonly limit: ConcurrencyLimit;
  readonly kind: StatementScope["kind"];
  /** Called for each batch, with the number of calls that share it. */
  readonly onBatch?: ((kind: string, size: number) => void) | undefined;
}

/** Answers each item at its place. */
export type BatchQuery<Item, Result> = (db: Db, items: readonly Item[]) => Promise<readonly Result[]>;

/** How often a call or batch runs if the database rolls it back through no fault of its own. */
const maxAttempts = 4;

/**
 * Runs the statements of calls and batches until their deadlines. The one place where database errors become
 * DATABASE_UNAVAILABLE and answers count as signs of life.
 */
export class StatementRunner {
  readonly #options: StatementRunnerOptions;
  /** For calls without a deadline. */
  readonly #unbounded: Db;

  constructor(options: StatementRunnerOptions) {
    this.#options = options;
    const { db, kind } = options;
    this.#unbounded = db.within({ kind, deadline: Infinity, signal: undefined });
  }

  /** Runs the statements of one call; OVERLOADED beyond the limit. */
  run<T>(call: CallContext, query: (db: Db) => Promise<T>): Promise<T> {
    return this.#options.limit.run(async () => {
      if (call.aborted) throw call.signal.reason;
      const signal = this.#options.kind === "read" ? call.signal : undefined;
      return this.#execute(call.deadline, signal, query);
    });
  }

  /** Makes a batcher, whose batches run until the last deadline among their calls. */
  batcher<Item, Result>(kind: string, limits: BatchLimits, query: BatchQuery<Item, Result>) {
    const run = (items: readonly Item[], deadline: number, signal: AbortSignal | undefined) => {
      this.#options.onBatch?.(kind, items.length);
      return this.#execute(deadline, signal, (db) => query(db, items));
    };
    return new Batcher(run, limits, this.#options.limit);
  }

  async #execute<T>(deadline: number, signal: AbortSignal | undefined, query: (db: Db) => Promise<T>) {
    const { db, liveness, kind } = this.#options;
    const isUnbounded = deadline === Infinity && (signal === undefined || signal === unlimited.signal);
    const scoped = isUnbounded ? this.#unbounded : db.within({ kind, deadline, signal });
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await query(scoped);
        liveness.observe();
        return result;
      } catch (error) {
        if (attempt === maxAttempts || !isRepeatable(error)) throw translated(error);
      }
    }
  }
}

export interface Runners {
  readonly reads: StatementRunner;
  /** With a limit of its own, so that stalled writes do not keep reads out. */
  readonly writes: StatementRunner;
  /** Writes accesses. With a limit of its own, because no call waits for them. */
  readonly accesses: StatementRunner;
  /** Feeds read for all their watchers. Without a limit, because each refused watcher would return as a call. */
  readonly background: StatementRunner;
  /** Passed by revocations before they are acknowledged. */
  readonly gate: CommitGate;
}

/**
 * Records successful queries, so that a health check can rely on recent traffic instead of running its own query: under load
 * that would wait long for a connection although the database answers.
 */
export class DatabaseLiveness {
  readonly #waiting = new Set<() => void>();

  observe(): void {
    for (const resolve of this.#waiting) resolve();
  }

  /** Runs `query`, and resolves with it or with the next query of any other call that succeeds. */
  async ping(query: () => Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await Promise.race([promise, withDatabaseErrors(query)]);
    } finally {
      this.#waiting.delete(resolve);
    }
  }
}
