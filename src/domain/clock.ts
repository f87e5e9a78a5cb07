/** Time, so that tests need not wait for it. Timers must not keep the process alive. */
export interface Clock {
  /** Milliseconds from any fixed point; must never go back. */
  now(): number;
  /** Calls once, after `ms`; the result cancels. */
  after(ms: number, call: () => void): () => void;
}

/** The machine's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms).unref();
    return () => clearTimeout(timer);
  },
};
