import { SessiondError } from "./errors.ts";

/**
 * Limits how many calls wait for the database. Beyond the limit calls fail at once with OVERLOADED, instead of waiting until
 * their callers have given up.
 */
export class ConcurrencyLimit {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes a place; false if none is free. */
  tryAcquire(): boolean {
    if (this.#taken >= this.#max) return false;
    this.#taken++;
    return true;
  }

  release(places = 1): void {
    this.#taken -= places;
  }

  /** Holds a place while `operation` runs; OVERLOADED if none is free. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.tryAcquire()) throw new SessiondError("OVERLOADED");
    try {
      return await operation();
    } finally {
      this.release();
    }
  }
}
