/** How long a process may rely on a renewal of its lease, in milliseconds from the renewal's start. */
export const leaseMs = 2_000;

/** A moment by two clocks of this machine, in milliseconds. */
export interface Moment {
  /** Never goes back, but stops while a machine is suspended. */
  readonly monotonic: number;
  /** Goes on while a machine is suspended, but may be set back. */
  readonly wall: number;
}

export type MomentClock = () => Moment;

export const systemMoment: MomentClock = () => ({ monotonic: performance.now(), wall: Date.now() });

/**
 * The right of this process to say that a session is valid, on a database with synchronous standbys.
 *
 * Why no accept follows a revocation that was acknowledged on a new primary: A process checks its lease after its read has
 * returned. A lease that holds was renewed by a commit that started less than 2 s ago and that the synchronous standby has
 * confirmed. A standby confirms nothing after its promotion. So every lease of the old primary ends at most 2 s after the
 * promotion, and the new primary, which has all rows that were confirmed, acknowledges its first revocation later than that; see
 * {@link TimelineGuard}.
 */
export class Lease {
  readonly #now: MomentClock;
  #renewedAt: Moment = { monotonic: -Infinity, wall: -Infinity };
  #isRequired = true;

  constructor(now: MomentClock = systemMoment) {
    this.#now = now;
  }

  /** Milliseconds since the last renewal started, by the clock that has advanced further; Infinity before the first. */
  get ageMs(): number {
    const { monotonic, wall } = this.#now();
    return Math.max(monotonic - this.#renewedAt.monotonic, wall - this.#renewedAt.wall);
  }

  /** Whether the last server that was asked has synchronous standbys. Until one was asked, it may have. */
  get isRequired(): boolean {
    return this.#isRequired;
  }

  get holds(): boolean {
    return !this.#isRequired || this.ageMs < leaseMs;
  }

  /** Takes what the server says while a renewal is not yet confirmed. */
  require(): void {
    this.#isRequired = true;
  }

  renewed(startedAt: Moment, isRequired: boolean): void {
    this.#renewedAt = startedAt;
    this.#isRequired = isRequired;
  }
}
