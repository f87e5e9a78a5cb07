import { ConcurrencyLimit } from "../../domain/concurrency-limit.ts";
import { SessiondError } from "../../domain/errors.ts";
import type { ProjectId } from "../../domain/ids.ts";
import { type CallContext, unlimited } from "../../transport/call-context.ts";
import { deadlineExceeded } from "./bounded-statement.ts";

export interface BatchLimits {
  readonly maxItems: number;
  readonly maxRunning: number;
}

/** Look-ups run two at a time, so that a lone call rarely finds one running. */
export const lookups: BatchLimits = { maxItems: 500, maxRunning: 2 };

/**
 * Runs a batch until `deadline` at most, and answers each item at its place. `signal` is that of the only call if batches hold
 * one item; undefined otherwise, because a batch must not be cancelled with one of its calls.
 */
export type BatchRun<Item, Result> = (
  items: readonly Item[],
  deadline: number,
  signal: AbortSignal | undefined,
) => Promise<readonly Result[]>;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly call: CallContext;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs items that arrive while others run as one batch. An item that finds a place free starts in the same turn of the event
 * loop. An item is only ever part of a batch that started after it was submitted. It is dropped if its call was cancelled or
 * its deadline has passed by then; a batch may run until the last deadline in it.
 */
export class Batcher<Item, Result> {
  readonly #run: BatchRun<Item, Result>;
  readonly #limits: BatchLimits;
  readonly #limit: ConcurrencyLimit;
  #waiting: Waiting<Item, Result>[] = [];
  #running = 0;
  #scheduled = false;

  /** Items count against `limit` until their batch has run. */
  constructor(run: BatchRun<Item, Result>, limits: BatchLimits, limit = new ConcurrencyLimit(Infinity)) {
    this.#run = run;
    this.#limits = limits;
    this.#limit = limit;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** Resolves with the item's own result, or rejects with its own failure; at once with OVERLOADED beyond the limit. */
  submit(item: Item, call = unlimited): Promise<Result> {
    if (!this.#limit.tryAcquire()) return Promise.reject(new SessiondError("OVERLOADED"));
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.push({ item, call, resolve, reject });
    this.#schedule();
    return promise;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After everything that arrived in this turn was submitted: larger batches, and no item waits for it.
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#running < this.#limits.maxRunning && this.#waiting.length > 0) {
        const batch = this.#withoutExpired(this.#waiting.splice(0, this.#limits.maxItems));
        if (batch.length > 0) void this.#start(batch);
      }
    });
  }

  /** Rejects the items that no caller waits for, and returns the others. */
  #withoutExpired(batch: readonly Waiting<Item, Result>[]): readonly Waiting<Item, Result>[] {
    const now = performance.now();
    const isExpired = ({ call }: Waiting<Item, Result>) => call.aborted || call.deadline <= now;
    if (!batch.some(isExpired)) return batch;
    return batch.filter((one) => {
      if (!isExpired(one)) return true;
      this.#limit.release();
      one.reject(one.call.aborted ? one.call.signal.reason : deadlineExceeded());
      return false;
    });
  }

  async #start(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    this.#running++;
    const settle = await this.#outcomeOf(batch);
    this.#running--; // before the results, so that the last caller finds the batcher idle
    this.#limit.release(batch.length);
    settle();
    this.#schedule();
  }

  /**
   * Runs the batch and returns a function that settles its items. A batch that failed is run again one by one, so that one bad
   * item does not fail the others.
   */
  async #outcomeOf(batch: readonly Waiting<Item, Result>[]): Promise<() => void> {
    try {
      const items = batch.map(({ item }) => item);
      const deadline = batch.reduce((latest, { call }) => Math.max(latest, call.deadline), 0);
      const signal = this.#limits.maxItems === 1 ? batch[0]?.call.signal : undefined;
      const results = await this.#run(items, deadline, signal);
      return () => results.forEach((result, i) => batch[i]?.resolve(result));
    } catch (reason) {
      if (batch.length === 1 || !isFaultOfItem(reason)) {
        return () => batch.forEach(({ reject }) => reject(reason));
      }
      const outcomes: (() => void)[] = [];
      for (const one of batch) outcomes.push(await this.#outcomeOf([one]));
      return () => outcomes.forEach((settle) => settle());
    }
  }
}

/** Whether an item may have caused the failure. Otherwise asking again at once would not help. */
function isFaultOfItem(error: unknown): boolean {
  const isKnown = error instanceof SessiondError;
  return !(isKnown && (error.reason === "DATABASE_UNAVAILABLE" || error.reason === "DEADLINE_EXCEEDED"));
}

/** Batches the items of each project, so that different projects do not wait for each other. */
export class ProjectBatchers<Item, Result> {
  readonly #open: (projectId: ProjectId) => Batcher<Item, Result>;
  readonly #batchers = new Map<ProjectId, Batcher<Item, Result>>();

  /** `open` makes the batcher of a project, which is kept while an item waits for it. */
  constructor(open: (projectId: ProjectId) => Batcher<Item, Result>) {
    this.#open = open;
  }

  async submit(projectId: ProjectId, item: Item, call: CallContext): Promise<Result> {
    const batcher = this.#batchers.get(projectId) ?? this.#open(projectId);
    this.#batchers.set(projectId, batcher);
    try {
      return await batcher.submit(item, call);
    } finally {
      if (batcher.idle) this.#batchers.delete(projectId);
    }
  }
}
