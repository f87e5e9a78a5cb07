import { type ClientClock, type Moment, ageOf } from "../../clock.ts";

/** Knows how stale the verifier's copy of the log may be. */
export class Freshness {
  /** Set by close(). */
  isClosed = false;
  readonly #clock: ClientClock;
  readonly #maxStalenessMs: number;
  readonly #onChange: (isFresh: boolean) => void;
  #asOf: Moment | undefined;
  #isFresh = false;
  #cancelTimer: (() => void) | undefined;

  /** `onChange` is called at the moment when the copy becomes fresh or stale. */
  constructor(clock: ClientClock, maxStalenessMs: number, onChange: (isFresh: boolean) => void) {
    this.#clock = clock;
    this.#maxStalenessMs = maxStalenessMs;
    this.#onChange = onChange;
  }

  /**
   * Records that the copy holds everything that was committed when the server read its database, at least `readOffsetMs` after the
   * verifier started the call at `callStart`. Uses only the verifier's clocks, so that a delayed message does not look newer.
   */
  recordSync(callStart: Moment, readOffsetMs: number): void {
    const asOf = {
      monotonic: Math.min(callStart.monotonic + readOffsetMs, this.#clock.monotonic()),
      wall: Math.min(callStart.wall + readOffsetMs, this.#clock.wall()),
    };
    if (ageOf(asOf, this.#clock) <= this.staleness()) this.#asOf = asOf;
  }

  /** Makes the copy stale until the next {@link recordSync}: it lacks something that the verifier cannot read. */
  distrust(): void {
    this.#asOf = undefined;
    this.isFresh();
  }

  /** Returns the largest possible age of the copy, in milliseconds; Infinity before the first snapshot. */
  staleness(): number {
    return this.#asOf === undefined ? Infinity : Math.max(0, ageOf(this.#asOf, this.#clock));
  }

  /** Reports whether the copy is younger than the bound; calls `onChange` if that has changed. False after close(). */
  isFresh(): boolean {
    if (this.isClosed) return false;
    const staleness = this.staleness();
    const isFresh = staleness < this.#maxStalenessMs;
    if (isFresh) this.#cancelTimer ??= this.#startTimer(this.#maxStalenessMs - staleness);
    if (isFresh !== this.#isFresh) {
      this.#isFresh = isFresh;
      this.#onChange(isFresh);
    }
    return isFresh;
  }

  close(): void {
    this.isClosed = true;
    this.#cancelTimer?.();
  }

  #startTimer(ms: number): () => void {
    return this.#clock.after(ms, () => {
      this.#cancelTimer = undefined;
      this.isFresh();
    });
  }
}
