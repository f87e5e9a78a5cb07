import type { Clock } from "../../../src/domain/clock.ts";

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves on and calls what has become due, in order. */
  advance(ms: number): void;
  /** How many calls are still to come. */
  readonly pending: number;
}

export function manualClock(): ManualClock {
  let now = 0;
  const due = new Set<{ at: number; call: () => void }>();
  return {
    now: () => now,
    after(ms, call) {
      const entry = { at: now + ms, call };
      due.add(entry);
      return () => void due.delete(entry);
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const [next] = [...due].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        due.delete(next);
        now = next.at;
        next.call();
      }
      now = until;
    },
    get pending() {
      return due.size;
    },
  };
}
