import { SessiondError } from "./errors.ts";

/**
 * Where calls wait for the database: a bounded number of them. Beyond it a call is better told at once to come again than left
 * to wait for longer and longer, until nobody wants its answer any more. Whoever is in is answered.
 */
export class WaitingRoom {
  readonly #places: number;
  #taken = 0;

  /** `places`: most calls that wait at once. */
  constructor(places: number) {
    this.#places = places;
  }

  /** Takes a place; false where there is none. */
  enter(): boolean {
    if (this.#taken >= this.#places) return false;
    this.#taken++;
    return true;
  }

  /** Gives places back. */
  leave(places: number): void {
    this.#taken -= places;
  }

  /** Takes a place for as long as `operation` runs; OVERLOADED where there is none. */
  async during<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.enter()) throw new SessiondError("OVERLOADED");
    try {
      return await operation();
    } finally {
      this.leave(1);
    }
  }
}
