import { isPermanent } from "../subscribe.ts";
import { Connections } from "./connections.ts";
import { type DecisionSources, decide } from "./decide.ts";
import { EventSource, type VerifierEvents } from "./events.ts";
import { JwtCheck } from "./jwt/jwt-check.ts";
import { KeySet } from "./jwt/key-set.ts";
import { requireNode } from "../../transport/node-version.ts";
import { type LogListener, followLog } from "./log-follower.ts";
import { type VerifierOptions, type VerifierSettings, readOptions } from "./options.ts";
import { Freshness } from "./revocations/freshness.ts";
import { type CopyChange, RevocationCopy, type StreamMessage } from "./revocations/revocation-copy.ts";
import type { Verdict } from "./verdict.ts";

requireNode();

export type { ClientClock } from "../clock.ts";
export type { Credential, TlsClientOptions } from "../transport.ts";
export type { VerifierEventMap, VerifierEvents } from "./events.ts";
export type { Invalidity } from "./jwt/jwt-check.ts";
export type { SessionClaims } from "./jwt/session-claims.ts";
export type { OnStale, VerifierOptions } from "./options.ts";
export type { VerifierRevocation, VerifierScope } from "./revocations/revocation.ts";
export { type Accepted, type Rejection, type Verdict, describeRejection } from "./verdict.ts";

/** Verifies session JWTs in this process. Holds a connection and timers until it is closed. */
export interface Verifier {
  /**
   * Never rejects. Decides locally, without a call, while the known revocations are younger than `maxStaleness`; beyond that
   * `onStale` decides. A JWT that is known to be revoked is rejected in any case.
   */
  verify(jwt: string): Promise<Verdict>;
  status(): VerifierStatus;
  /** An error thrown by a listener becomes an uncaught exception. */
  readonly events: VerifierEvents;
  /**
   * Resolves when the first snapshot of revocations is complete. Rejects when the verifier is closed, and when the server
   * rejects the stream in a way that a retry cannot mend, such as for a wrong secret; the verifier tries again all the same.
   */
  ready(): Promise<void>;
  /** Ends the stream. Afterwards every JWT is rejected as stale. */
  close(): Promise<void>;
}

/** Times in milliseconds. */
export interface VerifierStatus {
  /** Whether a stream of revocations is running. */
  readonly connected: boolean;
  /** The address in use. */
  readonly baseUrl: string;
  /** Every revocation up to this revision is known; undefined before the first snapshot. */
  readonly revision: number | undefined;
  /** Largest possible age of the known revocations; Infinity before the first snapshot. */
  readonly staleness: number;
  /** Whether `staleness` is below `maxStaleness`. */
  readonly fresh: boolean;
  /** Why the last stream or attempt ended; undefined while a stream is running. */
  readonly lastError: Error | undefined;
  /** Number of revoked sessions and the memory they take, of cutoffs, and of JWTs whose checked signature is cached. */
  readonly held: {
    readonly sessions: number;
    readonly sessionBytes: number;
    readonly cutoffs: number;
    readonly jwts: number;
  };
}

const forgetIntervalMs = 1000;
/** How long a revocation is kept after it has stopped to matter. */
const forgetMarginMs = 10_000;

/**
 * Starts a verifier. It fetches the project's keys and every revocation that can still matter, and follows the stream of
 * revocations. Throws an Error that lists every invalid option.
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

class LocalVerifier implements Verifier, LogListener {
  readonly #settings: VerifierSettings;
  readonly #source = new EventSource();
  readonly #freshness: Freshness;
  readonly #copy: RevocationCopy;
  readonly #connections: Connections;
  readonly #keys: KeySet;
  readonly #jwts: JwtCheck;
  readonly #sources: DecisionSources;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #ready = Promise.withResolvers<void>();
  #isReady = false;
  #cancelForget: () => void;
  #connected = false;
  #lastError: Error | undefined;

  constructor(settings: VerifierSettings) {
    const { tls, credential, clock, heartbeat: heartbeatMs, maxStaleness, askTimeout } = settings;
    const { projectId } = credential;
    this.#settings = settings;
    this.#freshness = new Freshness(clock, maxStaleness, (isFresh) => {
      if (isFresh) this.#source.emit("fresh", { revision: this.#copy.index?.revision ?? 0 });
      else this.#source.emit("stale", { staleness: this.#freshness.staleness() });
    });
    this.#copy = new RevocationCopy(this.#freshness);
    this.#connections = new Connections(settings);
    this.#keys = new KeySet({
      url: () => `${this.#connections.baseUrl}/session/v1/projects/${projectId}/jwks`,
      tls,
      clock,
      refetchIntervalMs: settings.jwksRefetchInterval,
      timeoutMs: askTimeout,
    });
    const expected = { issuer: settings.issuer, audience: projectId };
    this.#jwts = new JwtCheck(this.#keys, expected, settings.cacheSize);
    this.#sources = {
      settings,
      jwts: this.#jwts,
      copy: this.#copy,
      freshness: this.#freshness,
      connections: this.#connections,
      source: this.#source,
    };
    this.#ready.promise.catch(() => undefined);
    const { signal } = this.#closing;
    const followed = { connections: this.#connections, copy: this.#copy, clock, heartbeatMs, signal };
    this.#following = followLog({ ...followed, maxDriftMs: maxStaleness / 4 }, this);
    this.#cancelForget = clock.after(forgetIntervalMs, () => this.#forget());
  }

  get events(): VerifierEvents {
    return this.#source.events;
  }

  verify(jwt: string): Promise<Verdict> {
    return decide(this.#sources, jwt);
  }

  status(): VerifierStatus {
    const { sessions = 0, sessionBytes = 0, cutoffs = 0 } = this.#copy.index?.sizes ?? {};
    return {
      connected: this.#connected,
      baseUrl: this.#connections.baseUrl,
      revision: this.#copy.index?.revision,
      staleness: this.#freshness.staleness(),
      fresh: this.#freshness.isFresh(),
      lastError: this.#lastError,
      held: { sessions, sessionBytes, cutoffs, jwts: this.#jwts.cachedCount },
    };
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  async close(): Promise<void> {
    this.#connected = false;
    this.#cancelForget();
    this.#freshness.close();
    const closed = new Error("the verifier is closed");
    this.#settleReady(closed);
    this.#closing.abort(closed);
    this.#keys.close();
    this.#connections.close();
    await this.#following;
  }

  connected(baseUrl: string, resumedAfter: number | undefined): void {
    this.#connected = true;
    this.#lastError = undefined;
    this.#source.emit("connected", { baseUrl, resumedAfter });
  }

  applied({ revocations, revision }: StreamMessage, change: CopyChange): void {
    if (change !== "none") {
      // A snapshot may lack the revocation of a key that the JWKS no longer has.
      this.#keys.reset();
      this.#jwts.clear();
    }
    if (revocations.some(({ scope }) => scope === "signing_key")) this.#keys.expire();
    if (this.#copy.index !== undefined) {
      this.#settleReady();
      if (change !== "first snapshot" && this.#source.hasListeners("revocation")) {
        for (const revocation of revocations) this.#source.emit("revocation", revocation);
      }
    }
    if (change === "resynchronised") this.#source.emit("resynchronised", { revision });
    this.#freshness.isFresh();
  }

  disconnected(baseUrl: string, error: Error, wasConnected: boolean): void {
    this.#connected = false;
    this.#lastError = error;
    if (isPermanent(error)) this.#settleReady(error);
    this.#source.emit(wasConnected ? "disconnected" : "attemptFailed", { baseUrl, error });
  }

  /** Success is final. A failure is the answer to ready() until the next outcome. */
  #settleReady(error?: Error): void {
    if (this.#isReady) return;
    const next = Promise.withResolvers<void>();
    next.promise.catch(() => undefined);
    for (const { resolve, reject } of [this.#ready, next]) {
      if (error === undefined) resolve();
      else reject(error);
    }
    this.#ready = next;
    this.#isReady = error === undefined;
  }

  #forget(): void {
    const { clock, clockTolerance } = this.#settings;
    this.#copy.index?.forget(clock.wall() - clockTolerance - forgetMarginMs);
    this.#cancelForget = clock.after(forgetIntervalMs, () => this.#forget());
  }
}
