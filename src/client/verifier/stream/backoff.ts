import type { VerifierClock } from "./clock.ts";

/** Waits between attempts, in milliseconds: up to the first, doubled each time, up to the last. */
const firstWait = 50;
const longestWait = 5000;

/** Waits longer after every failure in a row, by chance between nothing and all of it, so that verifiers do not come back at once. */
export class Backoff {
  readonly #clock: VerifierClock;
  #attempts = 0;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(clock: VerifierClock) {
    this.#clock = clock;
  }

  /** An attempt went well. */
  reset(): void {
    this.#attempts = 0;
  }

  /** Waits before the next attempt. */
  async wait(): Promise<void> {
    if (this.#closed) return;
    const longest = Math.min(longestWait, firstWait * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 16);
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(Math.random() * longest, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /** Ends the wait, and all later ones. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
