import type { Clock } from "../domain/clock.ts";

/** How often something may be done: so many times at once, and then so many a second. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Most keys whose buckets are kept: about 2 MB. */
const maxKeys = 10_000;

/**
 * A token bucket for each key. Of a bucket only the moment is kept at which it will be full again, which says all; those that
 * are full are not kept, nor are the least recently used beyond `capacity`, who begin anew.
 *
 * Not rate-limiter-flexible: it counts in fixed windows, so that twice the limit passes where two meet, and its
 * BurstyRateLimiter is two of those. In memory it keeps a timer for each key and any number of keys, goes by Date.now(), and
 * answers by promises, rejected ones where it refuses.
 */
export class RateLimit {
  readonly #clock: Pick<Clock, "now">;
  /** How long a token takes to come, in milliseconds; and how long a whole bucket. */
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

  /** How many buckets are kept. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** Takes a token and returns 0; where there is none, takes none and returns how long until there is, in milliseconds. */
  take(key: string): number {
    const now = this.#clock.now();
    const fullAt = this.#fullAtOf(key, now) + this.#interval;
    const wait = fullAt - now - this.#depth;
    if (wait > tolerance) return wait;
    this.#keep(key, fullAt, now);
    return 0;
  }

  /** How long until there is a token, in milliseconds; 0 where there is. Takes none. */
  wait(key: string): number {
    const now = this.#clock.now();
    const wait = this.#fullAtOf(key, now) + this.#interval - now - this.#depth;
    return wait > tolerance ? wait : 0;
  }

  /** Takes a token whether there is one or not, but owes no more than a whole bucket. */
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

  /** Each that comes takes away two at most that need not be kept: in the end all, at no cost to speak of for any. */
  #forget(now: number): void {
    let looked = 0;
    for (const [key, fullAt] of this.#fullAt) {
      if (looked++ === 2 || (fullAt > now && this.#fullAt.size <= this.#capacity)) return;
      this.#fullAt.delete(key);
    }
  }
}

/** Milliseconds that sums of fractions may be off by. */
const tolerance = 1e-6;
