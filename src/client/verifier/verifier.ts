import { clockToleranceMs } from "../../jwt/claims.ts";
import { Connections } from "./connections.ts";
import { CredentialRefusals } from "./credential-refusals.ts";
import { decide } from "./decide.ts";
import { EventSource, type VerifierEvents } from "./events.ts";
import { JwtCheck } from "./jwt/jwt-check.ts";
import { KeySet } from "./jwt/key-set.ts";
import { requireNode } from "../../transport/node-version.ts";
import { LogFollower, type VerifierParts } from "./log-follower.ts";
import { type VerifierOptions, type VerifierSettings, readOptions } from "./options.ts";
import { Freshness } from "./revocations/freshness.ts";
import { RevocationCopy } from "./revocations/revocation-copy.ts";
import type { Verdict } from "./verdict.ts";

requireNode();

export type { ClientClock } from "../clock.ts";
export type { Credential, TlsClientOptions } from "../transport.ts";
export type { VerifierEventMap, VerifierEvents } from "./events.ts";
export type { Invalidity, SessionClaims } from "./jwt/jwt-check.ts";
export type { OnHistoryChanged, OnStale, VerifierOptions } from "./options.ts";
export type { VerifierRevocation, VerifierScope } from "./revocations/revocation.ts";
export { type Accepted, type Rejection, type Verdict, describeRejection } from "./verdict.ts";

/** Verifies session JWTs in this process. Holds a connection and timers until it is closed. */
export interface Verifier {
  /**
   * Never rejects. Decides locally, without a call, while the known revocations are younger than `maxStaleness`; beyond that
   * `onStale` decides, and `onHistoryChanged` while `status().history` is "changed". A JWT that is known to be revoked is rejected in any case.
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
  /** Every revocation up to this revision is known; undefined before the first snapshot of the followed log. */
  readonly revision: number | undefined;
  /** Largest possible age of the known revocations; Infinity before the first snapshot. */
  readonly staleness: number;
  /** Whether `staleness` is below `maxStaleness`. */
  readonly fresh: boolean;
  /**
   * "changed" from the event historyChanged to historyRecovered: the log is not the one that was followed before, and
   * `onHistoryChanged` decides about JWTs, also if `fresh`.
   */
  readonly history: "current" | "changed";
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
/** How long a revocation is kept after it can affect no JWT. */
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
  const settings = readOptions(options);
  const { clock } = settings;
  const parts = partsOf(settings);
  const { source, copy, freshness, keys, connections } = parts;
  const follower = new LogFollower(parts);
  const forget = () => {
    copy.forget(clock.wall() - clockToleranceMs - forgetMarginMs);
    cancelForget = clock.after(forgetIntervalMs, forget);
  };
  let cancelForget = clock.after(forgetIntervalMs, forget);
  return {
    events: source.events,
    verify: (jwt) => decide(parts, jwt),
    status: () => statusOf(parts, follower),
    ready: () => follower.ready(),
    async close() {
      cancelForget();
      freshness.close();
      const ended = follower.close();
      keys.close();
      connections.close();
      await ended;
    },
  };
}

function statusOf(
  { copy, freshness, connections, jwts }: VerifierParts,
  follower: LogFollower,
): VerifierStatus {
  return {
    connected: follower.isConnected,
    baseUrl: connections.baseUrl,
    revision: copy.index?.revision,
    staleness: freshness.staleness(),
    fresh: freshness.isFresh(),
    lastError: follower.lastError,
    history: copy.history,
    held: { ...copy.sizes, jwts: jwts.cachedCount },
  };
}

function partsOf(settings: VerifierSettings): VerifierParts {
  const { clock, credential, maxStaleness } = settings;
  const source = new EventSource();
  const freshness = new Freshness(clock, maxStaleness, (isFresh) => {
    if (isFresh) source.emit("fresh", { revision: copy.index?.revision ?? 0 });
    else source.emit("stale", { staleness: freshness.staleness() });
  });
  const copy = new RevocationCopy(freshness);
  const connections = new Connections(settings);
  const keys = new KeySet({
    url: () => `${connections.baseUrl}/session/v1/projects/${credential.projectId}/jwks`,
    tls: settings.tls,
    clock,
    refetchIntervalMs: settings.jwksRefetchInterval,
    timeoutMs: settings.askTimeout,
  });
  const jwts = new JwtCheck(keys, settings.issuer, credential.projectId, settings.cacheSize);
  return {
    settings,
    source,
    refusals: new CredentialRefusals(source),
    connections,
    keys,
    jwts,
    copy,
    freshness,
  };
}
