/** The verifier's own time; replaceable, so that tests of staleness need not wait. */
export interface VerifierClock {
  /** Milliseconds from any fixed point; never goes back, and may stand still while the machine is suspended. */
  monotonic(): number;
  /** Milliseconds since 1970, as the machine believes. */
  wall(): number;
  /** Calls once, after `ms`; the result cancels. */
  after(ms: number, call: () => void): () => void;
}

/** A moment by both clocks. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/** Longest timer of Node.js: a longer one would fire at once. */
const maxTimer = 2 ** 31 - 1;

/** The machine's clocks. Timers keep the process alive until the verifier is closed. */
export const machineClock: VerifierClock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, ms), maxTimer));
    return () => clearTimeout(timer);
  },
};

/** The present moment. */
export function momentOf(clock: VerifierClock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/**
 * How long ago `moment` was, in milliseconds: what the clock says that shows more. The monotonic one does not count the time a
 * machine was suspended, the wall clock may have been set back; both err only towards too little.
 */
export function ageOf(moment: Moment, clock: VerifierClock): number {
  return Math.max(clock.monotonic() - moment.monotonic, clock.wall() - moment.wall);
}

/** How far the two clocks have come apart since `moment`: the machine was suspended, or its wall clock was set. */
export function driftSince(moment: Moment, clock: VerifierClock): number {
  return Math.abs(clock.wall() - moment.wall - (clock.monotonic() - moment.monotonic));
}
