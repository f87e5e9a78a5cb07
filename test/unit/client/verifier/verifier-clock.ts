import type { ClientClock } from "../../../../src/client/clock.ts";
import { manualClock } from "../../rpc/manual-clock.ts";

/** Clocks and timers that stand still until a test moves them. */
export function manualVerifierClock() {
  const clock = manualClock();
  let ahead = Date.now();
  return {
    monotonic: () => clock.now(),
    wall: () => clock.now() + ahead,
    after: (ms: number, call: () => void) => clock.after(ms, call),
    /** Moves both clocks and runs timers that are due. */
    advance: (ms: number) => clock.advance(ms),
    /** Moves only the wall clock, like a suspension of the machine; back if negative. */
    suspend: (ms: number) => void (ahead += ms),
    get pending() {
      return clock.pending;
    },
  };
}

/** The machine's clocks, moved ahead by the test. Timers run in real time. */
export function aheadClock(): ClientClock & { advance(ms: number): void } {
  let ahead = 0;
  return {
    monotonic: () => performance.now() + ahead,
    wall: () => Date.now() + ahead,
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    advance: (ms) => void (ahead += ms),
  };
}
