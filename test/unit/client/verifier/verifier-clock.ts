import type { ClientClock } from "../../../../src/client/clock.ts";
import { type ManualClock, manualClock } from "../../rpc/manual-clock.ts";

/** Clocks and timers that stand still until a test moves them. */
export interface ManualVerifierClock extends ClientClock {
  /** Moves both clocks and runs timers that are due. */
  advance(ms: number): void;
  /** Moves only the wall clock, like a suspension of the machine; back if negative. */
  suspend(ms: number): void;
  readonly pending: ManualClock["pending"];
}

export function manualVerifierClock(wallStart = Date.now()): ManualVerifierClock {
  const clock = manualClock();
  let ahead = wallStart;
  return {
    monotonic: () => clock.now(),
    wall: () => clock.now() + ahead,
    after: (ms, call) => clock.after(ms, call),
    advance: (ms) => clock.advance(ms),
    suspend: (ms) => void (ahead += ms),
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
