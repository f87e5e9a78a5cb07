import { EventEmitter } from "node:events";
import type { VerifierRevocation } from "./revocations/revocation.ts";

/** Events of a verifier. Times in milliseconds. */
export interface VerifierEventMap {
  /** A stream of revocations has started, after this revision or, if undefined, with a snapshot. */
  connected: [{ readonly baseUrl: string; readonly resumedAfter: number | undefined }];
  /** The stream has ended. The verifier starts another one. */
  disconnected: [{ readonly baseUrl: string; readonly error: Error }];
  /** A stream could not start. The verifier tries again. */
  attemptFailed: [{ readonly baseUrl: string; readonly error: Error }];
  /**
   * The server refuses the verifier's own credential for this call, or the credential lacks the permission. Emitted once,
   * until such a call succeeds. Without a listener the process emits a warning.
   */
  credentialRefused: [
    { readonly call: "WatchRevocations" | "Authenticate"; readonly baseUrl: string; readonly error: Error },
  ];
  /** The known revocations have become older than `maxStaleness`. */
  stale: [{ readonly staleness: number }];
  /** The known revocations are younger than `maxStaleness`, for the first time or again. */
  fresh: [{ readonly revision: number }];
  /** A snapshot has been added to the known revocations, because the log no longer reached back to them. */
  resynchronised: [{ readonly revision: number }];
  /**
   * The log is not the one that the verifier followed up to `revision`: the database was restored to an earlier state, or a failover
   * lost commits. Revocations may be missing in it, and sessions that the verifier refuses may be active again for the server. The
   * verifier keeps what it knew and loads a snapshot of the new log; `onHistoryChanged` decides about JWTs until a log that began
   * with `sessiond recover` is followed. Without a listener the process emits a warning.
   */
  historyChanged: [{ readonly baseUrl: string; readonly revision: number; readonly error: Error }];
  /** The verifier follows a log, up to `revision`, that began with `sessiond recover` after historyChanged. */
  historyRecovered: [{ readonly baseUrl: string; readonly revision: number }];
  /** The verifier now applies this revocation. Not emitted for the first snapshot; a later snapshot may repeat revocations. */
  revocation: [VerifierRevocation];
  /** A JWT was accepted although the known revocations are too old, because of `onStale: "accept"`. */
  staleAccepted: [{ readonly sessionId: string; readonly staleness: number }];
}

export type VerifierEvents = EventEmitter<VerifierEventMap>;

/** Emits events. An error of a listener becomes an uncaught exception and does not reach the verifier. */
export class EventSource {
  readonly events: VerifierEvents = new EventEmitter<VerifierEventMap>();

  emit<Name extends keyof VerifierEventMap>(name: Name, event: VerifierEventMap[Name][0]): void {
    const emitter: EventEmitter = this.events;
    try {
      emitter.emit(name, event);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** Emits an event that should not pass unnoticed: without a listener the process emits a warning with this text. */
  emitOrWarn<Name extends keyof VerifierEventMap>(
    name: Name,
    event: VerifierEventMap[Name][0],
    text: string,
  ): void {
    if (this.events.listenerCount(name) > 0) this.emit(name, event);
    else process.emitWarning(text, "SessiondWarning");
  }
}
