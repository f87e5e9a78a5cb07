import type { Freshness } from "../stream/freshness.ts";
import type { Moment } from "../stream/clock.ts";
import type { Revocation } from "./revocation.ts";
import { RevocationIndex } from "./revocation-index.ts";

/** A message of the stream. */
export interface StreamMessage {
  readonly revocations: readonly Revocation[];
  readonly revision: number;
  readonly caughtUp: boolean;
  /** Milliseconds; see WatchRevocationsResponse.elapsed. */
  readonly elapsed: number;
}

/** Where a stream is to start. */
export type StreamStart = "snapshot" | { readonly afterRevision: number };

/** What receiving a message has changed, beside the revocations it held. */
export type Change = "none" | "first snapshot" | "resynchronised";

/** The stream cannot be gone on with; only a snapshot tells again what is revoked. */
export class OutOfStepError extends Error {
  override readonly name = "OutOfStepError";
}

/** The verifier's copy of the project's log: what of it can still matter, across streams, and as of when. */
export class RevocationCopy {
  readonly #freshness: Freshness;
  #index: RevocationIndex | undefined;
  /** A snapshot that is still coming in. */
  #incoming: RevocationIndex | undefined;

  constructor(freshness: Freshness) {
    this.#freshness = freshness;
  }

  /** What JWTs are judged by; undefined before the first snapshot is whole. */
  get index(): RevocationIndex | undefined {
    return this.#index;
  }

  /** A stream begins: how. A snapshot that an earlier one left unfinished begins again. */
  begin(): StreamStart {
    if (this.#index !== undefined && this.#incoming === undefined) {
      return { afterRevision: this.#index.revision };
    }
    this.#incoming = new RevocationIndex();
    return "snapshot";
  }

  /** The log does not go on from what is held: the next stream brings a snapshot. What is held is heeded until it is whole. */
  fallOut(): void {
    this.#incoming = new RevocationIndex();
  }

  /**
   * Takes in a message of a call begun at `callStart`. Throws OutOfStepError where it does not continue what is held. The
   * revisions of a log are without gap, so that a missing one is seen.
   */
  receive(message: StreamMessage, callStart: Moment): Change {
    const change =
      this.#incoming === undefined ? this.#continue(message) : this.#fill(this.#incoming, message);
    if (message.caughtUp && this.#incoming === undefined) this.#freshness.proven(callStart, message.elapsed);
    return change;
  }

  #continue({ revocations, revision }: StreamMessage): Change {
    const index = this.#index;
    const from = index?.revision ?? 0;
    const missing = revocations.findIndex((revocation, i) => revocation.revision !== from + i + 1);
    if (missing >= 0 || revision !== from + revocations.length) {
      throw new OutOfStepError(
        `after revision ${from} came ${revocations.length} revocations up to revision ${revision}: they should follow each other`,
      );
    }
    for (const revocation of revocations) index?.apply(revocation);
    return "none";
  }

  /** Known is known: what the snapshot brings beyond what is held is heeded at once, not only when it is whole. */
  #fill(incoming: RevocationIndex, { revocations, revision, caughtUp }: StreamMessage): Change {
    const index = this.#index;
    for (const revocation of revocations) {
      incoming.apply(revocation);
      index?.apply(revocation);
    }
    incoming.reach(revision);
    if (!caughtUp) return "none";
    this.#index = incoming;
    this.#incoming = undefined;
    return index === undefined ? "first snapshot" : "resynchronised";
  }
}
