import { hash } from "node:crypto";
import type { Clock } from "../domain/clock.ts";
import { type Reason, SessiondError } from "../domain/errors.ts";
import { FailureLimit } from "./failure-limit.ts";
import type { Identity } from "./identify.ts";
import type { Peer } from "./peer.ts";
import type { RequestCredentials } from "./request-credentials.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** How often calls may be made; without limit where undefined. */
export interface CallRates {
  /** By each service credential. */
  readonly service: Rate | undefined;
  /** By each member as an end user, over all their sessions. */
  readonly member: Rate | undefined;
  /** From each client address. */
  readonly address: Rate | undefined;
  /** How often the authentication of a caller may fail, from each client address. */
  readonly failures: Rate | undefined;
}

/** What refuses calls that come too often, with RATE_LIMITED. Each process counts for itself. */
export class CallLimits {
  readonly #service: RateLimit | undefined;
  readonly #member: RateLimit | undefined;
  readonly #address: RateLimit | undefined;
  readonly #failures: FailureLimit | undefined;

  constructor({ service, member, address, failures }: CallRates, clock: Pick<Clock, "now">) {
    this.#service = service && new RateLimit(service, clock);
    this.#member = member && new RateLimit(member, clock);
    this.#address = address && new RateLimit(address, clock);
    this.#failures = failures && new FailureLimit(failures, clock);
  }

  /** Counts a call of whatever method, before anything else is known of it. */
  countAddress({ address }: Peer): void {
    if (this.#address !== undefined && address !== undefined) {
      refuseFor(this.#address.take(address), "address");
    }
  }

  /** Counts a call of a known caller. With a member session beside it, a service's call is both theirs. */
  countCaller({ service, caller }: Identity): void {
    if (this.#service !== undefined && service !== undefined) {
      refuseFor(this.#service.take(service.credential.id), "service");
    }
    if (this.#member !== undefined && caller.kind === "member") {
      refuseFor(this.#member.take(`${caller.project.id}/${caller.session.memberId}`), "member");
    }
  }

  /**
   * Finds out who calls with `identify`, unless too many have failed at that. What counts as failure is a credential that is
   * nobody's, or names nobody any more in a way that cannot be told from that; not a session that has ended, as all do.
   */
  async authenticate(
    { address }: Peer,
    presented: RequestCredentials,
    identify: () => Promise<Identity>,
  ): Promise<Identity> {
    const failures = this.#failures;
    if (failures === undefined || address === undefined) return identify();
    const fingerprint = fingerprintOf(presented);
    refuseFor(failures.wait(address, fingerprint), "authentication");
    try {
      const identity = await identify();
      failures.succeeded(fingerprint);
      return identity;
    } catch (error) {
      if (isGuess(error)) failures.failed(address, fingerprint);
      throw error;
    }
  }
}

function refuseFor(wait: number, limit: string): void {
  if (wait > 0) throw new SessiondError("RATE_LIMITED", { metadata: { limit }, retryDelay: Math.ceil(wait) });
}

const guesses: ReadonlySet<Reason> = new Set(["CREDENTIAL_INVALID", "SESSION_UNKNOWN"]);

function isGuess(error: unknown): boolean {
  return error instanceof SessiondError && guesses.has(error.reason) && error.isGuess;
}

/** Stands for everything that was presented, and holds no secret. */
function fingerprintOf({ service, member }: RequestCredentials): string {
  const ofService =
    service &&
    ("secretHash" in service
      ? `${service.projectId}:${service.secretHash.toString("latin1")}`
      : service.names.join());
  const ofMember = member && hash("sha256", "token" in member ? member.token : member.jwt, "base64");
  return `${ofService ?? ""} ${ofMember ?? ""}`;
}
