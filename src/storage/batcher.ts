import { currentDeadline } from "../domain/deadline.ts";
import { SessiondError } from "../domain/errors.ts";
import { WaitingRoom } from "../domain/concurrency-limit.ts";
import { outOfTime } from "./connection/statement-bounds.ts";

/** How a batcher may work. */
export interface BatchLimits {
  /** Most items in one batch. */
  readonly maxItems: number;
  /** Most batches that run at once. */
  readonly maxRunning: number;
}

/** Runs a batch, until `deadline` at most, and answers each item at its own place. */
export type BatchRun<Item, Result> = (items: readonly Item[], deadline: number) => Promise<readonly Result[]>;

interface Waiting<Item, Result> {
  readonly item: Item;
  /** Until when somebody waits for it, as performance.now() counts; Infinity where nobody said. */
  readonly deadline: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs what arrives while others run as one batch. Nobody waits for company: an item that finds a place free starts within
 * the same turn of the event loop. Nobody joins a batch that runs: an item is only ever part of a batch that started after
 * it was submitted. One whose deadline has passed by then is left out; a batch may take until the last deadline in it.
 */
export class Batcher<Item, Result> {
  readonly #run: BatchRun<Item, Result>;
  readonly #limits: BatchLimits;
  readonly #room: WaitingRoom;
  #waiting: Waiting<Item, Result>[] = [];
  #running = 0;
  #scheduled = false;

  /** Items wait in `room`, until their batch has run. */
  constructor(run: BatchRun<Item, Result>, limits: BatchLimits, room = new WaitingRoom(Infinity)) {
    this.#run = run;
    this.#limits = limits;
    this.#room = room;
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** Resolves with the item's own result, or rejects with its own failure; at once with OVERLOADED where there is no room. */
  submit(item: Item): Promise<Result> {
    if (!this.#room.enter()) return Promise.reject(new SessiondError("OVERLOADED"));
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.push({ item, deadline: currentDeadline(), resolve, reject });
    this.#schedule();
    return promise;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // When everything that has arrived in this turn has been submitted: more in each batch, and nobody waits for it.
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#running < this.#limits.maxRunning && this.#waiting.length > 0) {
        const batch = this.#inTime(this.#waiting.splice(0, this.#limits.maxItems));
        if (batch.length > 0) void this.#start(batch);
      }
    });
  }

  /** Those whose deadline has not passed; the others are told. */
  #inTime(batch: readonly Waiting<Item, Result>[]): readonly Waiting<Item, Result>[] {
    const now = performance.now();
    const late = batch.filter(({ deadline }) => deadline <= now);
    if (late.length === 0) return batch;
    this.#room.leave(late.length);
    for (const { reject } of late) reject(outOfTime());
    return batch.filter(({ deadline }) => deadline > now);
  }

  async #start(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    this.#running++;
    const answer = await this.#answerTo(batch);
    this.#running--; // before anyone is told: whoever was the last finds the batcher idle
    this.#room.leave(batch.length);
    answer();
    this.#schedule();
  }

  /**
   * Runs the batch; what it returns tells everyone. One item that cannot be served must not fail the others: a batch that
   * failed is run again one by one.
   */
  async #answerTo(batch: readonly Waiting<Item, Result>[]): Promise<() => void> {
    try {
      const items = batch.map(({ item }) => item);
      const deadline = batch.reduce((latest, one) => Math.max(latest, one.deadline), 0);
      const results = await this.#run(items, deadline);
      return () => results.forEach((result, i) => batch[i]?.resolve(result));
    } catch (reason) {
      if (batch.length === 1 || isNobodysFault(reason)) {
        return () => batch.forEach(({ reject }) => reject(reason));
      }
      const answers: (() => void)[] = [];
      for (const one of batch) answers.push(await this.#answerTo([one]));
      return () => answers.forEach((answer) => answer());
    }
  }
}

/** Whether the failure is the database's or time's and not some item's: then nothing is gained by asking again at once. */
function isNobodysFault(error: unknown): boolean {
  const isKnown = error instanceof SessiondError;
  return isKnown && (error.reason === "DATABASE_UNAVAILABLE" || error.reason === "DEADLINE_EXCEEDED");
}
