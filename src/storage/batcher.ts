import { SessiondError } from "../domain/errors.ts";

/** How a batcher may work. */
export interface BatchLimits {
  /** Most items in one batch. */
  readonly maxItems: number;
  /** Most batches that run at once. */
  readonly maxRunning: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs what arrives while others run as one batch. Nobody waits for company: an item that finds a place free starts within
 * the same turn of the event loop. Nobody joins a batch that runs: an item is only ever part of a batch that started after
 * it was submitted.
 */
export class Batcher<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #limits: BatchLimits;
  #waiting: Waiting<Item, Result>[] = [];
  #running = 0;
  #scheduled = false;

  /** `run` answers each item at its own place. */
  constructor(run: (items: readonly Item[]) => Promise<readonly Result[]>, limits: BatchLimits) {
    this.#run = run;
    this.#limits = limits;
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** Resolves with the item's own result, or rejects with its own failure. */
  submit(item: Item): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.push({ item, resolve, reject });
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
        void this.#start(this.#waiting.splice(0, this.#limits.maxItems));
      }
    });
  }

  async #start(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    this.#running++;
    const answer = await this.#answerTo(batch);
    this.#running--; // before anyone is told: whoever was the last finds the batcher idle
    answer();
    this.#schedule();
  }

  /**
   * Runs the batch; what it returns tells everyone. One item that cannot be served must not fail the others: a batch that
   * failed is run again one by one.
   */
  async #answerTo(batch: readonly Waiting<Item, Result>[]): Promise<() => void> {
    try {
      const results = await this.#run(batch.map(({ item }) => item));
      return () => results.forEach((result, i) => batch[i]?.resolve(result));
    } catch (reason) {
      if (batch.length === 1 || isOutage(reason)) return () => batch.forEach(({ reject }) => reject(reason));
      const answers: (() => void)[] = [];
      for (const one of batch) answers.push(await this.#answerTo([one]));
      return () => answers.forEach((answer) => answer());
    }
  }
}

/** Whether the failure is the database's and not some item's: then nothing is gained by asking again at once. */
function isOutage(error: unknown): boolean {
  return error instanceof SessiondError && error.reason === "DATABASE_UNAVAILABLE";
}
