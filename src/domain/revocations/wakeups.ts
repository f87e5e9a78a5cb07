import type { Clock } from "../clock.ts";

/** Wakes those who wait for an event. */
export class Wakeups {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves at the next event, at `time`, or when the signal is aborted. */
  wait(time: number, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve) => {
      const waitMs = time - this.#clock.now();
      const done = () => {
        cancel?.();
        signal.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = Number.isFinite(waitMs) ? this.#clock.after(Math.max(0, waitMs), done) : undefined;
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }
}
