import type { Moment } from "../../clock.ts";
import type { StreamStart } from "../../subscribe.ts";
import type { Freshness } from "./freshness.ts";
import type { StreamMessage } from "./revocation.ts";
import { RevocationIndex } from "./revocation-index.ts";

/** What a message has changed besides adding its revocations. */
type CopyChange = "none" | "first snapshot" | "resynchronised";

/** A message does not continue the copy, so that a new snapshot is needed. */
export class OutOfStepError extends Error {
  override readonly name = "OutOfStepError";
}

/** The verifier's copy of the project's log: the revocations that can still matter, across streams. */
export class RevocationCopy {
  readonly #freshness: Freshness;
  #index: RevocationIndex | undefined;
  /** The index of a snapshot that is not complete yet. */
  #incoming: RevocationIndex | undefined;
  /** Position of the last message that was applied. */
  #position = "";

  constructor(freshness: Freshness) {
    this.#freshness = freshness;
  }

  /** The index that decides about JWTs; undefined before the first snapshot is complete. */
  get index(): RevocationIndex | undefined {
    return this.#index;
  }

  /** Returns where the next stream starts, and prepares for it. An incomplete snapshot starts again. */
  nextStart(): StreamStart {
    if (this.#index !== undefined && this.#incoming === undefined) {
      return { case: "after", value: this.#position };
    }
    this.requireSnapshot();
    return { case: "snapshot", value: {} };
  }

  /** Makes the next stream start with a snapshot. The current index stays in use until the snapshot is complete. */
  requireSnapshot(): void {
    this.#incoming = new RevocationIndex();
  }

  /**
   * Applies a message of the call that started at `callStart`. Throws OutOfStepError if it does not continue the copy: the
   * revisions of a log have no gaps, so that a missing one is noticed.
   */
  apply(message: StreamMessage, callStart: Moment): CopyChange {
    const change =
      this.#incoming === undefined ? this.#continue(message) : this.#fill(this.#incoming, message);
    this.#position = message.position;
    if (message.upToDate && this.#incoming === undefined) {
      this.#freshness.recordSync(callStart, message.readOffsetMs);
    }
    return change;
  }

  #continue({ revocations, revision }: StreamMessage): CopyChange {
    const index = this.#index;
    const from = index?.revision ?? 0;
    const missing = revocations.findIndex((revocation, i) => revocation.revision !== from + i + 1);
    if (missing >= 0 || revision !== from + revocations.length) {
      throw new OutOfStepError(
        `the stream is at revision ${from}; the next message has ${revocations.length} revocations up to revision ${revision}, which leaves a gap`,
      );
    }
    for (const revocation of revocations) index?.apply(revocation);
    return "none";
  }

  /** Adds revocations of an incomplete snapshot to the current index as well, so that they count at once. */
  #fill(incoming: RevocationIndex, { revocations, revision, upToDate }: StreamMessage): CopyChange {
    const index = this.#index;
    for (const revocation of revocations) {
      incoming.apply(revocation);
      index?.apply(revocation);
    }
    incoming.advanceTo(revision);
    if (!upToDate) return "none";
    this.#index = incoming;
    this.#incoming = undefined;
    return index === undefined ? "first snapshot" : "resynchronised";
  }
}
