import type { Clock } from "../domain/clock.ts";

/** A rate limit: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Most buckets that are kept: about 2 MB. */
const maxKeys = 10_000;

/**
 * A token bucket per key (GCRA). Stores only when a bucket will be full again. Full buckets are dropped, and beyond `capacity`
 * the least recently used ones; lru-cache would keep full ones until then.
 *
 * Not rate-limiter-flexible: it counts in fixed windows, so that twice the limit passes at their border. It also keeps a timer
 * per key, does not limit the number of keys, uses Date.now(), and answers by promises.
 */
export class RateLimit {
  readonly #clock: Pick<Clock, "now">;
  /** Milliseconds until a token is added, and until an empty bucket is full. */
  readonly #interval: number;
  readonly #depth: number;
  readonly #capacity: number;
  readonly #fullAt = new Map<string, number>();

  constructor({ perSecond, burst }: Rate, clock: Pick<Clock, "now">, capacity = maxKeys) {
    this.#clock = clock;
    this.#interval = 1000 / perSecond;
    this.#depth = burst * this.#interval;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  /** Takes a token and returns 0, or returns the milliseconds until there is one. */
  take(key: string): number {
    const now = this.#clock.now();
    const fullAt = this.#fullAtOf(key, now) + this.#interval;
    const wait = fullAt - now - this.#depth;
    if (wait > tolerance) return wait;
    this.#keep(key, fullAt, now);
    return 0;
  }

  /** The milliseconds until a token is added; takes no token. */
  wait(key: string): number {
    const now = this.#clock.now();
    const wait = this.#fullAtOf(key, now) + this.#interval - now - this.#depth;
    return wait > tolerance ? wait : 0;
  }

  /** Takes a token even from an empty bucket. The debt is limited to one bucket. */
  charge(key: string): void {
    const now = this.#clock.now();
    this.#keep(key, Math.min(this.#fullAtOf(key, now) + this.#interval, now + 2 * this.#depth), now);
  }

  #fullAtOf(key: string, now: number): number {
    return Math.max(now, this.#fullAt.get(key) ?? now);
  }

  #keep(key: string, fullAt: number, now: number): void {
    const isKnown = this.#fullAt.delete(key);
    this.#fullAt.set(key, fullAt);
    if (!isKnown) this.#forget(now);
  }

  /** Amortized eviction: every insert drops up to two entries that are full or over capacity. */
  #forget(now: number): void {
    let looked = 0;
    for (const [key, fullAt] of this.#fullAt) {
      if (looked++ === 2 || (fullAt > now && this.#fullAt.size <= this.#capacity)) return;
      this.#fullAt.delete(key);
    }
  }
}

/** Rounding error of sums of fractions, in milliseconds. */
const tolerance = 1e-6;
