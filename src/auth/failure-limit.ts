import { LRUCache } from "lru-cache";
import type { Clock } from "../domain/clock.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Most credentials that are remembered as valid: about 1 MB. */
const maxValid = 10_000;

/**
 * Limits failed authentications per client address. Recently valid credentials are exempt, so that failures of other clients
 * behind a shared gateway do not lock them out; they are still checked against the database. One bad credential is limited
 * separately and earlier, so that it does not use up the limit of its address.
 *
 * Credentials are identified by a hash, the fingerprint. A failure counts when it is known: concurrent calls may all fail, and
 * the address owes them.
 */
export class FailureLimit {
  readonly #byAddress: RateLimit;
  readonly #byCredential: RateLimit;
  readonly #valid = new LRUCache<string, true>({ max: maxValid });

  /** `rate` applies to an address. One credential may use half of its burst, and a twentieth of its rate. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    const { perSecond, burst } = rate;
    this.#byAddress = new RateLimit(rate, clock);
    this.#byCredential = new RateLimit({ perSecond: perSecond / 20, burst: Math.ceil(burst / 2) }, clock);
  }

  /** How long to wait before the credential is checked, in milliseconds. */
  wait(address: string, fingerprint: string): number {
    if (this.#valid.has(fingerprint)) return 0;
    return this.#byCredential.wait(fingerprint) || this.#byAddress.wait(address);
  }

  succeeded(fingerprint: string): void {
    this.#valid.set(fingerprint, true);
  }

  failed(address: string, fingerprint: string): void {
    this.#valid.delete(fingerprint);
    this.#byCredential.charge(fingerprint);
    this.#byAddress.charge(address);
  }
}
