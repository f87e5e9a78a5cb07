import type { VerifierClock } from "../../../../src/client/verifier/stream/clock.ts";
import { type ManualClock, manualClock } from "../../rpc/manual-clock.ts";

/** A verifier's clocks and timers, which stand still until a test moves them. */
export interface ManualVerifierClock extends VerifierClock {
  /** Time passes: both clocks move, timers go off. */
  advance(ms: number): void;
  /** The machine sleeps: only the wall clock moves. Or its wall clock is set, back where negative. */
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

/** The machine's clocks, which a test can put forward; timers are the machine's. */
export function aheadClock(): VerifierClock & { advance(ms: number): void } {
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
