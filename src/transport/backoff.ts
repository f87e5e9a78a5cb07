/** Bounds of the wait between two attempts, in milliseconds. */
export interface BackoffBounds {
  /** Longest wait after the first failure; doubles with every further failure in a row. */
  readonly firstMs: number;
  /** Longest wait of all. */
  readonly maxMs: number;
}

/**
 * Exponential backoff with jitter: every wait is between half of its upper bound and all of it, at random, so that clients
 * that lost the same server do not return in the same moment. Computes waits only; the caller has the timer.
 */
export class Backoff {
  readonly #bounds: BackoffBounds;
  #boundMs: number;

  constructor(bounds: BackoffBounds) {
    this.#bounds = bounds;
    this.#boundMs = bounds.firstMs;
  }

  /** Returns the wait before the next attempt, in milliseconds, and doubles the bound of the one after it. */
  nextMs(): number {
    const boundMs = this.#boundMs;
    this.#boundMs = Math.min(boundMs * 2, this.#bounds.maxMs);
    return ((1 + Math.random()) / 2) * boundMs;
  }

  /** Starts again at the first bound, after a success. */
  reset(): void {
    this.#boundMs = this.#bounds.firstMs;
  }
}
