import type { Clock } from "../../domain/clock.ts";

/** How a {@link Readiness} asks. */
export interface ReadinessOptions {
  /** Whether the server can do its work, e.g. the database answers. A rejection counts as no. */
  probe: () => Promise<boolean>;
  /** How long an answer is good for, in milliseconds. */
  maxAgeMs: number;
  /** When to stop waiting for the probe and say no, in milliseconds. */
  timeoutMs: number;
  clock: Clock;
}

/** Knows whether the server is ready without asking more often than needed. */
export interface Readiness {
  /** The latest answer; false before the first one. */
  readonly last: boolean;
  /**
   * An answer not older than `maxAgeMs`. However many ask, one probe runs at a time, and none is started
   * while an earlier one hangs: until that one ends, the answer is no.
   */
  ask(): Promise<boolean>;
}

/** Creates a {@link Readiness}; `changed` is called after every change of the answer, a late one included. */
export function createReadiness(options: ReadinessOptions, changed: () => void): Readiness {
  const { probe, maxAgeMs, timeoutMs, clock } = options;
  let last = false;
  let goodUntil = -Infinity;
  let probing = false;
  let answer = Promise.resolve(false);

  const settle = (ready: boolean) => {
    goodUntil = clock.now() + maxAgeMs;
    if (ready === last) return;
    last = ready;
    changed();
  };

  const start = () =>
    new Promise<boolean>((resolve) => {
      probing = true;
      const conclude = (ready: boolean) => {
        settle(ready);
        resolve(ready);
      };
      const cancel = clock.after(timeoutMs, () => conclude(false));
      const ended = (ready: boolean) => {
        probing = false;
        cancel();
        conclude(ready);
      };
      // In a function of its own, so that a probe that throws at once counts as a rejection.
      const run = async () => probe();
      run().then(ended, () => ended(false));
    });

  return {
    get last() {
      return last;
    },
    ask() {
      if (!probing && clock.now() >= goodUntil) answer = start();
      return answer;
    },
  };
}
