import { hash } from "node:crypto";
import type { Clock } from "../domain/clock.ts";
import { type Reason, SessiondError } from "../domain/errors.ts";
import { FailureLimit } from "./failure-limit.ts";
import type { Identity } from "./identify.ts";
import type { Peer, RequestCredentials } from "./request-credentials.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Rates of calls; undefined for no limit. */
export interface CallRates {
  /** Per service credential. */
  readonly service: Rate | undefined;
  /** Per member as an end user, over all sessions. */
  readonly member: Rate | undefined;
  /** Per client address. */
  readonly address: Rate | undefined;
  /** Failed authentications per client address. */
  readonly failures: Rate | undefined;
}

/** Refuses calls beyond their rates with RATE_LIMITED. Each process counts separately. */
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

  /** Counts a call of any method, before its credentials are read. */
  countAddress({ address }: Peer): void {
    if (this.#address !== undefined && address !== undefined) {
      refuseFor(this.#address.take(address), "address");
    }
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

  /**
   * Authenticates a caller with `identify`, unless too many authentications have failed. Unknown credentials count as failures,
   * and ended ones that cannot be distinguished from them; a session that has ended does not.
   */
  async authenticate(
    { address }: Peer,
    credentials: RequestCredentials,
    identify: () => Promise<Identity>,
  ): Promise<Identity> {
    const failures = this.#failures;
    if (failures === undefined || address === undefined) return identify();
    const fingerprint = fingerprintOf(credentials);
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

/** Identifies the credentials without containing a secret. */
function fingerprintOf({ service, member }: RequestCredentials): string {
  const ofService =
    service &&
    ("secretHash" in service
      ? `${service.projectId}:${service.secretHash.toString("latin1")}`
      : service.names.join());
  const ofMember = member && hash("sha256", "token" in member ? member.token : member.jwt, "base64");
  return `${ofService ?? ""} ${ofMember ?? ""}`;
}
