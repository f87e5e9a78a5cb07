import { type Moment, type VerifierClock, ageOf } from "./clock.ts";

/** Knows as of when the verifier holds every committed revocation. */
export class Freshness {
  readonly #clock: VerifierClock;
  #asOf: Moment | undefined;

  constructor(clock: VerifierClock) {
    this.#clock = clock;
  }

  /**
   * The server asked its database no earlier than `elapsed` milliseconds after the verifier began the call at `callStart`, and
   * everything that was committed by then is held. Only the verifier's own clocks are read: what the message met on its way
   * cannot make it look newer.
   */
  proven(callStart: Moment, elapsed: number): void {
    const asOf = {
      monotonic: Math.min(callStart.monotonic + elapsed, this.#clock.monotonic()),
      wall: Math.min(callStart.wall + elapsed, this.#clock.wall()),
    };
    if (ageOf(asOf, this.#clock) <= this.staleness()) this.#asOf = asOf;
  }

  /** How old what is held may be, in milliseconds; Infinity while nothing is. */
  staleness(): number {
    return this.#asOf === undefined ? Infinity : Math.max(0, ageOf(this.#asOf, this.#clock));
  }
}
