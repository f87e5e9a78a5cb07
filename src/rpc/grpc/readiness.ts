import type { Clock } from "../../domain/clock.ts";

export interface ReadinessOptions {
  /** Checks whether the server can do its work. A rejection counts as false. */
  readonly probe: () => Promise<boolean>;
  /** How long a result is reused, in milliseconds. */
  readonly maxAgeMs: number;
  /** Time limit of the probe, in milliseconds; false beyond it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Checks whether the server is ready, with one probe at a time for all callers. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #onChange: () => void;
  #last = false;
  #expiresAt = -Infinity;
  #isProbing = false;
  #result = Promise.resolve(false);

  /** `onChange` is called after every change of the result. */
  constructor(options: ReadinessOptions, onChange: () => void) {
    this.#options = options;
    this.#onChange = onChange;
  }

  /** The latest result; false before the first one. */
  get last(): boolean {
    return this.#last;
  }

  /** Returns a result of at most `maxAgeMs`; false as long as a probe runs beyond its time limit. */
  check(): Promise<boolean> {
    if (!this.#isProbing && this.#options.clock.now() >= this.#expiresAt) this.#result = this.#probe();
    return this.#result;
  }

  #probe(): Promise<boolean> {
    const { clock, probe, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      this.#isProbing = true;
      const conclude = (isReady: boolean) => {
        this.#record(isReady);
        resolve(isReady);
      };
      const cancel = clock.after(timeoutMs, () => conclude(false));
      const onEnd = (isReady: boolean) => {
        this.#isProbing = false;
        cancel();
        conclude(isReady);
      };
      // Async, so that a probe that throws counts as a rejection.
      const run = async () => probe();
      run().then(onEnd, () => onEnd(false));
    });
  }

  #record(isReady: boolean): void {
    this.#expiresAt = this.#options.clock.now() + this.#options.maxAgeMs;
    if (isReady === this.#last) return;
    this.#last = isReady;
    this.#onChange();
  }
}
