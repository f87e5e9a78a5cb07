import { Code } from "@connectrpc/connect";
import { ask } from "./introspect.ts";
import { Connections } from "./stream/connections.ts";
import { EventSource, type VerifierEvents } from "./events.ts";
import { Freshness } from "./stream/freshness.ts";
import { JwtCheck } from "./jwt/jwt-check.ts";
import { KeySet } from "./jwt/key-set.ts";
import { type Settings, type VerifierOptions, readOptions } from "./options.ts";
import { Readiness } from "./readiness.ts";
import { type Change, RevocationCopy, type StreamMessage } from "./revocations/revocation-copy.ts";
import { StalenessAlarm } from "./stream/staleness-alarm.ts";
import { type Statement, timeliness } from "./jwt/statement.ts";
import { type Refusal, type Verdict, invalid } from "./verdict.ts";
import { Watch, type WatchListener, codeOf } from "./stream/watch.ts";
import { requireNode } from "../../transport/node-version.ts";

requireNode();

export type { SessionClaims } from "./jwt/claims.ts";
export type { VerifierClock } from "./stream/clock.ts";
export type { VerifierEventMap, VerifierEvents } from "./events.ts";
export type { OnStale, VerifierOptions } from "./options.ts";
export type { TlsClientOptions } from "../tls.ts";
export type { Revocation, Scope } from "./revocations/revocation.ts";
export { type Accepted, type Invalidity, type Refusal, type Verdict, describeRefusal } from "./verdict.ts";

/** Checks session JWTs in this process. Close it when done: it holds a connection and timers. */
export interface Verifier {
  /**
   * What a JWT is worth. Never rejects. Answers by what is held, without a call, while that is younger than `maxStaleness`;
   * what `onStale` says beyond it. A JWT that is known to be revoked is refused however old that knowledge is.
   */
  verify(jwt: string): Promise<Verdict>;
  /** How it is doing. */
  status(): VerifierStatus;
  /** What happens to it. A listener that throws is an uncaught exception. */
  readonly events: VerifierEvents;
  /**
   * Resolves when the first snapshot is held. Rejects, while attempts go on, when the server refuses in a way that waiting does
   * not mend, such as for a wrong secret; and when the verifier is closed.
   */
  ready(): Promise<void>;
  /** Ends the stream; from then on every JWT is refused as stale. */
  close(): Promise<void>;
}

/** How a verifier is doing. Times in milliseconds. */
export interface VerifierStatus {
  /** Whether a stream of revocations is running. */
  readonly connected: boolean;
  /** The address in use. */
  readonly baseUrl: string;
  /** Everything up to here is heeded; undefined before the first snapshot. */
  readonly revision: number | undefined;
  /** How old what is held may be; Infinity before the first snapshot. */
  readonly staleness: number;
  /** Whether that is younger than `maxStaleness`. */
  readonly fresh: boolean;
  /** Why the last stream or attempt ended; undefined while one is running. */
  readonly lastError: Error | undefined;
  /** Revoked sessions held, the bytes they take, cutoffs held, and JWTs whose checked signature is remembered. */
  readonly held: {
    readonly sessions: number;
    readonly sessionBytes: number;
    readonly cutoffs: number;
    readonly jwts: number;
  };
}

/** How often what no longer matters is forgotten, and how long after it stopped to matter. */
const forgetInterval = 1000;
const forgetMargin = 10_000;

/**
 * Starts a verifier: it fetches the project's keys and every revocation that matters, and follows the stream of revocations.
 * Throws an Error that lists what is wrong with the options.
 *
 * ```ts
 * const verifier = createVerifier({ baseUrl: "http://127.0.0.1:8080", credential: { projectId, secret } });
 * await verifier.ready();
 * const verdict = await verifier.verify(jwt);
 * if (verdict.ok) console.log(verdict.claims.memberId);
 * else console.log(verdict.reason);
 * ```
 */
export function createVerifier(options: VerifierOptions): Verifier {
  return new LocalVerifier(readOptions(options));
}

class LocalVerifier implements Verifier, WatchListener {
  readonly #settings: Settings;
  readonly #source = new EventSource();
  readonly #readiness = new Readiness();
  readonly #freshness: Freshness;
  readonly #copy: RevocationCopy;
  readonly #alarm: StalenessAlarm;
  readonly #connections: Connections;
  readonly #keys: KeySet;
  readonly #jwts: JwtCheck;
  readonly #watch: Watch;
  readonly #watching: Promise<void>;
  #cancelForget: () => void;
  #connected = false;
  #closed = false;
  #lastError: Error | undefined;

  constructor(settings: Settings) {
    const { tls, credential, clock, heartbeat, maxStaleness, askTimeout } = settings;
    const { projectId } = credential;
    this.#settings = settings;
    this.#freshness = new Freshness(clock);
    this.#copy = new RevocationCopy(this.#freshness);
    this.#alarm = new StalenessAlarm(this.#freshness, clock, maxStaleness, {
      fresh: () => this.#source.emit("fresh", { revision: this.#copy.index?.revision ?? 0 }),
      stale: (staleness) => this.#source.emit("stale", { staleness }),
    });
    this.#connections = new Connections(settings);
    this.#keys = new KeySet({
      url: () => `${this.#connections.baseUrl}/session/v1/projects/${projectId}/jwks`,
      tls,
      clock,
      refetchInterval: settings.jwksRefetchInterval,
      timeout: askTimeout,
    });
    this.#jwts = new JwtCheck(
      this.#keys,
      { issuer: settings.issuer, audience: projectId },
      settings.cacheSize,
    );
    const watched = { connections: this.#connections, copy: this.#copy, clock, heartbeat };
    this.#watch = new Watch({ ...watched, maxDrift: maxStaleness / 4 }, this);
    this.#watching = this.#watch.run();
    this.#cancelForget = clock.after(forgetInterval, () => this.#forget());
  }

  get events(): VerifierEvents {
    return this.#source.events;
  }

  async verify(jwt: string): Promise<Verdict> {
    const checked = await this.#jwts.check(jwt);
    if (checked === "keys unavailable") return this.#stale();
    if (typeof checked === "string") return invalid(checked);
    return this.#ended(jwt, checked) ?? this.#accept(jwt, checked);
  }

  status(): VerifierStatus {
    const { sessions = 0, sessionBytes = 0, cutoffs = 0 } = this.#copy.index?.sizes ?? {};
    return {
      connected: this.#connected,
      baseUrl: this.#connections.baseUrl,
      revision: this.#copy.index?.revision,
      staleness: this.#freshness.staleness(),
      fresh: this.#alarm.isFresh(),
      lastError: this.#lastError,
      held: { sessions, sessionBytes, cutoffs, jwts: this.#jwts.cached },
    };
  }

  ready(): Promise<void> {
    return this.#readiness.wait();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connected = false;
    this.#cancelForget();
    this.#alarm.close();
    this.#readiness.reject(new Error("the verifier is closed"));
    this.#watch.close();
    this.#keys.close();
    this.#connections.close();
    await this.#watching;
  }

  connected(baseUrl: string, resumedAfter: number | undefined): void {
    this.#connected = true;
    this.#lastError = undefined;
    this.#source.emit("connected", { baseUrl, resumedAfter });
  }

  received({ revocations, revision }: StreamMessage, change: Change): void {
    if (change !== "none") {
      // A key whose revocation the snapshot no longer brings is not in the JWKS any more.
      this.#keys.reset();
      this.#jwts.clear();
    }
    if (revocations.some(({ scope }) => scope === "signing_key")) this.#keys.expire();
    if (this.#copy.index !== undefined) this.#readiness.resolve();
    if (change !== "first snapshot" && this.#copy.index !== undefined && this.#source.hears("revocation")) {
      for (const revocation of revocations) this.#source.emit("revocation", revocation);
    }
    if (change === "resynchronised") this.#source.emit("resynchronised", { revision });
    this.#alarm.isFresh();
  }

  ended(baseUrl: string, error: Error, begun: boolean): void {
    this.#connected = false;
    this.#lastError = error;
    if (!mendsItself(error)) this.#readiness.reject(error);
    this.#source.emit(begun ? "disconnected" : "attemptFailed", { baseUrl, error });
  }

  /** What has ended a JWT that was good when it was signed, as far as is known. */
  #ended(jwt: string, { claims, kid }: Statement): Refusal | undefined {
    const { clock, clockTolerance } = this.#settings;
    const { index } = this.#copy;
    const ending = index?.endingOfKey(kid) ?? index?.endingOf(claims);
    if (ending !== undefined) return { ok: false, reason: "revoked", ...ending };
    const now = timeliness(claims, clock.wall(), clockTolerance);
    if (now === "early") return invalid("time");
    if (now === "expired" || claims.expiresAt * 1000 <= (index?.forgottenUntil ?? 0)) {
      this.#jwts.forget(jwt);
      return { ok: false, reason: "expired" };
    }
    return undefined;
  }

  /** Accepts what nothing is known against, if what is known is young enough; else does what the owner chose. */
  #accept(jwt: string, { claims }: Statement): Verdict | Promise<Verdict> {
    if (this.#closed) return this.#stale();
    if (this.#alarm.isFresh()) return { ok: true, claims, answeredBy: "verifier", stale: false };
    const { onStale } = this.#settings;
    switch (onStale) {
      case "refuse":
        return this.#stale();
      case "accept":
        if (this.#copy.index === undefined) return this.#stale();
        this.#source.emit("staleAccepted", {
          sessionId: claims.sessionId,
          staleness: this.#freshness.staleness(),
        });
        return { ok: true, claims, answeredBy: "verifier", stale: true };
      case "ask":
        return this.#ask(jwt, claims);
    }
  }

  async #ask(jwt: string, claims: Statement["claims"]): Promise<Verdict> {
    const answer = await ask(this.#connections, jwt, this.#settings.askTimeout);
    if (answer === "good") return { ok: true, claims, answeredBy: "server", stale: false };
    return answer === "unanswered" ? this.#stale() : answer;
  }

  #stale(): Refusal {
    return { ok: false, reason: "stale", staleness: this.#freshness.staleness() };
  }

  #forget(): void {
    const { clock, clockTolerance } = this.#settings;
    this.#copy.index?.forget(clock.wall() - clockTolerance - forgetMargin);
    this.#cancelForget = clock.after(forgetInterval, () => this.#forget());
  }
}

/** Whether waiting may help: the server, or the way to it, is out of order; it has not understood and refused. */
function mendsItself(error: Error): boolean {
  switch (codeOf(error)) {
    case Code.Unauthenticated:
    case Code.PermissionDenied:
    case Code.InvalidArgument:
    case Code.NotFound:
    case Code.Unimplemented:
      return false;
    default:
      return true;
  }
}
