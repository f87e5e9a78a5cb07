import { randomUUID } from "node:crypto";
import type { Clock } from "../../domain/clock.ts";

export interface HearingTestOptions {
  readonly clock: Clock;
  readonly send: (nonce: string) => Promise<void>;
  /** Called with whether the nonce arrived in time, or later after all. */
  readonly onResult: (hears: boolean) => void;
  /** Called when it is time for the next test. */
  readonly onDue: () => void;
}

/** Time from one test to the next, in milliseconds. */
const intervalMs = 30_000;

/** How long a notification may take, in milliseconds. */
const patienceMs = 2_000;

/** Tests whether notifications arrive, by one to oneself. */
export class HearingTest {
  readonly #options: HearingTestOptions;
  readonly #timers = new Set<() => void>();
  #nonce: string | undefined;
  /** Counts the tests, so that one that was stopped meanwhile has no effect. */
  #runs = 0;

  constructor(options: HearingTestOptions) {
    this.#options = options;
  }

  /** Tests now, and announces when the next test is due. */
  async run(): Promise<void> {
    const { send, onResult, onDue } = this.#options;
    this.stop();
    const run = this.#runs;
    const nonce = (this.#nonce = randomUUID());
    const isSent = await send(nonce).then(
      () => true,
      () => false,
    );
    if (run !== this.#runs) return;
    // A database that does not answer shows nothing.
    this.#after(isSent ? intervalMs : patienceMs, onDue);
    if (isSent) this.#after(patienceMs, () => this.#nonce === nonce && onResult(false));
  }

  arrived(nonce: string): void {
    if (nonce !== this.#nonce) return;
    this.#nonce = undefined;
    this.#options.onResult(true);
  }

  stop(): void {
    this.#runs++;
    this.#nonce = undefined;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #after(ms: number, run: () => void): void {
    this.#timers.add(this.#options.clock.after(ms, run));
  }
}
