import type { Clock } from "../domain/clock.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Most credentials that are remembered as good: about 1 MB. */
const maxGood = 10_000;

/**
 * Limits how often authentication may fail for each client address, as many clients may share one: that of a gateway.
 * Who guesses is stopped; who is known to be good is not, whatever others do at the same address; and a client that goes on
 * with one bad credential is stopped alone, before it has used up what all have.
 *
 * Credentials go by a hash, `fingerprint`. One that was good is remembered to get past this limit, and for nothing else: it
 * is still asked of the database each time. A failure counts when it is known, so calls under way together may all fail; the
 * address owes them.
 */
export class FailureLimit {
  readonly #byAddress: RateLimit;
  readonly #byCredential: RateLimit;
  readonly #good = new Set<string>();

  /** `rate` is that of an address; of its failures one credential may have half at once, and a twentieth from then on. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    const { perSecond, burst } = rate;
    this.#byAddress = new RateLimit(rate, clock);
    this.#byCredential = new RateLimit({ perSecond: perSecond / 20, burst: Math.ceil(burst / 2) }, clock);
  }

  /** How long the credential has to wait before it is looked at, in milliseconds; 0 where it need not. */
  wait(address: string, fingerprint: string): number {
    if (this.#good.has(fingerprint)) return 0;
    return this.#byCredential.wait(fingerprint) || this.#byAddress.wait(address);
  }

  /** The credential was good. The least recently used is forgotten for it. */
  succeeded(fingerprint: string): void {
    if (!this.#good.delete(fingerprint) && this.#good.size >= maxGood) {
      const [oldest] = this.#good;
      if (oldest !== undefined) this.#good.delete(oldest);
    }
    this.#good.add(fingerprint);
  }

  /** The credential is nobody's. */
  failed(address: string, fingerprint: string): void {
    this.#good.delete(fingerprint);
    this.#byCredential.charge(fingerprint);
    this.#byAddress.charge(address);
  }
}
