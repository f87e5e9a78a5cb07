/** The time of day, as a service under test is told it. */
export interface MovableClock {
  readonly now: () => Date;
  /** Puts it forward, in milliseconds. */
  advance(ms: number): void;
}

/** A clock that goes with the machine's, and that a test can put forward. */
export function movableClock(): MovableClock {
  let ahead = 0;
  return {
    now: () => new Date(Date.now() + ahead),
    advance: (ms) => void (ahead += ms),
  };
}
