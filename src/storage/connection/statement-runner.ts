import type { ConcurrencyLimit } from "../../domain/concurrency-limit.ts";
import { type CallContext, unlimited } from "../../transport/call-context.ts";
import { type BatchLimits, Batcher } from "./batcher.ts";
import type { Database } from "./database.ts";
import { translated } from "./database-errors.ts";
import type { DatabaseLiveness } from "./liveness.ts";
import type { Db } from "../schema/tables.ts";

export interface StatementRunnerOptions {
  readonly db: Database;
  readonly liveness: DatabaseLiveness;
  /** Limits how many calls and batch items wait here. */
  readonly limit: ConcurrencyLimit;
  /** Whether the statements only read, so that they can be cancelled while they run. */
  readonly readsOnly: boolean;
  /** Called for each batch, with the number of calls that share it. */
  readonly onBatch?: ((kind: string, size: number) => void) | undefined;
}

/** Answers each item at its place. */
export type BatchQuery<Item, Result> = (db: Db, items: readonly Item[]) => Promise<readonly Result[]>;

/**
 * Runs the statements of calls and batches until their deadlines. The one place where database errors become
 * DATABASE_UNAVAILABLE and answers count as signs of life.
 */
export class StatementRunner {
  readonly #options: StatementRunnerOptions;

  constructor(options: StatementRunnerOptions) {
    this.#options = options;
  }

  /** Runs the statements of one call; OVERLOADED beyond the limit. */
  run<T>(call: CallContext, query: (db: Db) => Promise<T>): Promise<T> {
    return this.#options.limit.run(async () => {
      if (call.aborted) throw call.signal.reason;
      return this.#execute(call.deadline, this.#options.readsOnly ? call.signal : undefined, query);
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
    const { db, liveness, readsOnly: canCancel } = this.#options;
    const isUnbounded = deadline === Infinity && (signal === undefined || signal === unlimited.signal);
    try {
      const result = await query(isUnbounded ? db : db.within({ deadline, canCancel, signal }));
      liveness.observe();
      return result;
    } catch (error) {
      throw translated(error);
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
}
