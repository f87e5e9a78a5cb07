import type { Clock } from "../domain/clock.ts";
import { SessiondError } from "../domain/errors.ts";
import { type TrustedProxies, clientAddress, countedAddress } from "./client-address.ts";
import type { Identity } from "./identify.ts";
import type { Peer } from "./request-credentials.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Rates of calls; undefined for no limit. */
export interface CallRates {
  /** Per service credential. */
  readonly service: Rate | undefined;
  /** Per member as an end user, over all sessions. */
  readonly member: Rate | undefined;
  /** Per client address. */
  readonly address: Rate | undefined;
}

/** Refuses calls beyond their rates with RATE_LIMITED. Each process counts separately. */
export class CallLimits {
  readonly #service: RateLimit | undefined;
  readonly #member: RateLimit | undefined;
  readonly #address: RateLimit | undefined;
  readonly #proxies: TrustedProxies | undefined;

  /** The client address is the connection's, or behind `proxies` that which their header names. */
  constructor({ service, member, address }: CallRates, clock: Pick<Clock, "now">, proxies?: TrustedProxies) {
    this.#service = service && new RateLimit(service, clock);
    this.#member = member && new RateLimit(member, clock);
    this.#address = address && new RateLimit(address, clock);
    this.#proxies = proxies;
  }

  /** Counts a call of any method, before its credentials are read. */
  countAddress(peer: Peer, header: Headers): void {
    if (this.#address === undefined) return;
    const address = clientAddress(peer, header, this.#proxies);
    if (address !== undefined) refuseFor(this.#address.take(countedAddress(address)), "address");
  }

  /** Counts a call of an authenticated caller. A service's call with a member session counts for both. */
  countCaller({ service, caller }: Identity): void {
    if (this.#service !== undefined && service !== undefined) {
      refuseFor(this.#service.take(service.credential.id), "service");
    }
    if (this.#member !== undefined && caller.kind === "member") {
      refuseFor(this.#member.take(`${caller.project.id}/${caller.session.memberId}`), "member");
    }
  }
}

function refuseFor(wait: number, limit: string): void {
  if (wait > 0) throw new SessiondError("RATE_LIMITED", { metadata: { limit }, retryDelay: Math.ceil(wait) });
}
