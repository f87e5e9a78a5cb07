import { EventEmitter } from "node:events";
import type { Revocation } from "./revocations/revocation.ts";

/** What a verifier tells, and with what. Times in milliseconds. */
export interface VerifierEventMap {
  /** A stream of revocations has begun: with a snapshot, or after the revision it goes on from. */
  connected: [{ readonly baseUrl: string; readonly resumedAfter: number | undefined }];
  /** It has ended, and another is on its way. */
  disconnected: [{ readonly baseUrl: string; readonly error: Error }];
  /** An attempt to begin one has failed. */
  attemptFailed: [{ readonly baseUrl: string; readonly error: Error }];
  /** What is held has become older than `maxStaleness`. */
  stale: [{ readonly staleness: number }];
  /** What is held is young enough, for the first time or again. */
  fresh: [{ readonly revision: number }];
  /** A snapshot has taken the place of what was held, because the log could not go on from there. */
  resynchronised: [{ readonly revision: number }];
  /** From now on this revocation is heeded. Not told of the first snapshot; what is held may be told again with a later one. */
  revocation: [Revocation];
  /** A JWT was accepted although what is held is too old, as `onStale: "accept"` demands. */
  staleAccepted: [{ readonly sessionId: string; readonly staleness: number }];
}

/** Where a verifier's events can be listened to. */
export type VerifierEvents = EventEmitter<VerifierEventMap>;

/** Emits without letting a listener's failure into the verifier: it becomes an uncaught exception of its own. */
export class EventSource {
  readonly events: VerifierEvents = new EventEmitter<VerifierEventMap>();

  /** Whether anybody listens: what costs work to tell need not be told otherwise. */
  hears(name: keyof VerifierEventMap): boolean {
    return this.events.listenerCount(name) > 0;
  }

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
}
