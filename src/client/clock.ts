import { maxTimerMs } from "../transport/deadline.ts";

/** Time of a client. Tests replace it, so that they need not wait. */
export interface ClientClock {
  /** Milliseconds from any fixed point. Never goes back; may stand still while the machine is suspended. */
  monotonic(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Calls `call` once after `ms`. Returns a function that cancels. */
  after(ms: number, call: () => void): () => void;
}

/** A moment on both clocks. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/** The machine's clocks. Timers keep the process alive. */
export const machineClock: ClientClock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, ms), maxTimerMs));
    return () => clearTimeout(timer);
  },
};

export function momentOf(clock: ClientClock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/**
 * Returns the age of `moment` in milliseconds, on the clock that shows more. The monotonic clock leaves out the time of a
 * suspension, and the wall clock may have been set back: both errors make the age too small.
 */
export function ageOf(moment: Moment, clock: ClientClock): number {
  return Math.max(clock.monotonic() - moment.monotonic, clock.wall() - moment.wall);
}

/** Returns how far the clocks have drifted apart since `moment`: the machine was suspended, or its wall clock was set. */
export function driftSince(moment: Moment, clock: ClientClock): number {
  return Math.abs(clock.wall() - moment.wall - (clock.monotonic() - moment.monotonic));
}
