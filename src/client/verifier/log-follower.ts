import { Code } from "@connectrpc/connect";
import { driftSince } from "../clock.ts";
import { codeOf, errorInfoOf } from "../error-info.ts";
import { ownCredentialError } from "../own-credential.ts";
import { type StreamStart, type SubscriptionEvent, isPermanent, subscribe } from "../subscribe.ts";
import type { Connections } from "./connections.ts";
import { type CredentialRefusals, isCredentialRefused, isProjectDisabled } from "./credential-refusals.ts";
import type { EventSource } from "./events.ts";
import type { KeySet } from "./jwt/key-set.ts";
import type { JwtCheck } from "./jwt/jwt-check.ts";
import type { VerifierSettings } from "./options.ts";
import type { Freshness } from "./revocations/freshness.ts";
import { OtherHistoryError, OutOfStepError, type RevocationCopy } from "./revocations/revocation-copy.ts";
import { UnknownScopeError, readMessage } from "./revocations/revocation.ts";

/** What a verifier consists of. */
export interface VerifierParts {
  readonly settings: VerifierSettings;
  readonly source: EventSource;
  readonly refusals: CredentialRefusals;
  readonly connections: Connections;
  readonly keys: KeySet;
  readonly jwts: JwtCheck;
  readonly copy: RevocationCopy;
  readonly freshness: Freshness;
}

type EventOf<Kind> = SubscriptionEvent & { readonly kind: Kind };

/** Keeps the copy of the log up to date, and emits events. */
export class LogFollower {
  /** Whether a stream is running. */
  isConnected = false;
  /** Why the last stream or attempt ended; undefined while a stream is running. */
  lastError: Error | undefined;
  readonly #parts: VerifierParts;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #ready = Promise.withResolvers<void>();
  #isReady = false;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
    this.#ready.promise.catch(() => undefined);
    this.#following = this.#follow();
  }

  /** See Verifier.ready. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Ends the stream. Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.isConnected = false;
    const closed = new Error("the verifier is closed");
    this.#settleReady(closed);
    this.#closing.abort(closed);
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { settings, connections, copy } = this.#parts;
    const events = subscribe({
      open: () => connections.open(),
      nextStart: () => copy.nextStart(),
      heartbeatMs: settings.heartbeat,
      clock: settings.clock,
      signal: this.#closing.signal,
    });
    for await (const event of events) {
      if (event.kind === "connected") this.#connected(event.start);
      else if (event.kind === "message") this.#received(event);
      else this.#disconnected(event);
    }
  }

  #connected(start: StreamStart): void {
    this.isConnected = true;
    this.lastError = undefined;
    const { source, refusals, connections, copy } = this.#parts;
    refusals.accepted("WatchRevocations");
    const resumedAfter = start.case === "after" ? copy.index?.revision : undefined;
    source.emit("connected", { baseUrl: connections.baseUrl, resumedAfter });
  }

  #received(event: EventOf<"message">): void {
    const { clock, maxStaleness } = this.#parts.settings;
    try {
      this.#apply(event);
      if (driftSince(event.callStart, clock) > maxStaleness / 4) {
        throw new Error(
          "the machine was suspended or its clock was set: the stream's start is no longer dated",
        );
      }
    } catch (error) {
      event.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #apply({ message: response, callStart }: EventOf<"message">): void {
    const { copy, keys, jwts, freshness, source, connections } = this.#parts;
    const message = readMessage(response);
    const before = copy.history;
    const change = copy.apply(message, callStart);
    const { revocations, revision } = message;
    if (change !== "none") {
      // A snapshot may lack the revocation of a key that the JWKS no longer has.
      keys.reset();
      jwts.clear();
    }
    if (revocations.some(({ scope }) => scope === "signing_key")) keys.expire();
    // The first snapshot of all is not reported, also if it came in parts.
    if (this.#isReady) for (const revocation of revocations) source.emit("revocation", revocation);
    if (copy.index !== undefined) this.#settleReady();
    if (change === "resynchronised") source.emit("resynchronised", { revision });
    if (before === "changed" && copy.history === "current") {
      source.emit("historyRecovered", { baseUrl: connections.baseUrl, revision });
    }
    freshness.isFresh();
  }

  #disconnected({ error, wasConnected }: EventOf<"disconnected">): void {
    const { source, refusals, copy, connections, freshness } = this.#parts;
    this.isConnected = false;
    this.lastError = error;
    if (error instanceof UnknownScopeError) freshness.distrust();
    if (isProjectDisabled(error)) copy.disableProject();
    if (isPermanent(error)) this.#settleReady(ownCredentialError(error));
    const { baseUrl } = connections;
    source.emit(wasConnected ? "disconnected" : "attemptFailed", { baseUrl, error });
    if (isCredentialRefused(error)) refusals.report({ call: "WatchRevocations", baseUrl, error });
    // A snapshot leaves out a revocation of an unknown scope once no JWT depends on it.
    const needsSnapshot = error instanceof OutOfStepError || error instanceof UnknownScopeError;
    if (isHistoryChange(error)) this.#changeHistory(error);
    else if (needsSnapshot || codeOf(error) === Code.OutOfRange) copy.requireSnapshot();
    else connections.rotate();
  }

  #changeHistory(error: Error): void {
    const { settings, source, copy, connections } = this.#parts;
    const revision = copy.index?.revision;
    if (revision === undefined || !copy.changeHistory()) return;
    const { baseUrl } = connections;
    source.emitOrWarn(
      "historyChanged",
      { baseUrl, revision, error },
      `the log of revocations at ${baseUrl} is not the one that this verifier followed up to revision ${revision}: the database ` +
        "was restored to an earlier state, or a failover lost commits. Until a log after `sessiond recover` is followed, " +
        `onHistoryChanged ("${settings.onHistoryChanged}") decides about JWTs`,
    );
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
}

function isHistoryChange(error: Error): boolean {
  return error instanceof OtherHistoryError || errorInfoOf(error)?.reason === "HISTORY_CHANGED";
}
