import type { VerifierClock } from "./clock.ts";
import type { Freshness } from "./freshness.ts";

/** Who is told. */
export interface StalenessListener {
  fresh(): void;
  stale(staleness: number): void;
}

/** Tells when what is held becomes too old, and when it is young enough again. */
export class StalenessAlarm {
  readonly #freshness: Freshness;
  readonly #clock: VerifierClock;
  readonly #maxStaleness: number;
  readonly #listener: StalenessListener;
  #isFresh = false;
  #closed = false;
  #cancel: (() => void) | undefined;

  constructor(freshness: Freshness, clock: VerifierClock, maxStaleness: number, listener: StalenessListener) {
    this.#freshness = freshness;
    this.#clock = clock;
    this.#maxStaleness = maxStaleness;
    this.#listener = listener;
  }

  /** Whether what is held is younger than maxStaleness, now; tells the listener if that is news. */
  isFresh(): boolean {
    const staleness = this.#freshness.staleness();
    const isFresh = staleness < this.#maxStaleness;
    if (this.#closed) return false;
    if (isFresh) this.#cancel ??= this.#clock.after(this.#maxStaleness - staleness, () => this.#ring());
    if (isFresh === this.#isFresh) return isFresh;
    this.#isFresh = isFresh;
    if (isFresh) this.#listener.fresh();
    else this.#listener.stale(staleness);
    return isFresh;
  }

  /** From now on nothing is fresh, and nothing is told. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #ring(): void {
    this.#cancel = undefined;
    this.isFresh();
  }
}
