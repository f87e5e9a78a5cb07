import type { Moment } from "../../clock.ts";
import type { StreamStart } from "../../subscribe.ts";
import type { Freshness } from "./freshness.ts";
import { findPastRevocation } from "./past-history.ts";
import type { StreamMessage } from "./revocation.ts";
import { type FoundRevocation, RevocationIndex, type Subject } from "./revocation-index.ts";

/** Number of earlier histories that are kept apart. A service that flaps between two databases must not fill the memory. */
const maxPast = 8;

/** What a message has changed besides adding its revocations. */
type CopyChange = "none" | "first snapshot" | "resynchronised";

/** A message does not continue the copy, so that a new snapshot is needed. */
export class OutOfStepError extends Error {
  override readonly name = "OutOfStepError";
}

/** A snapshot shows that the log is another one than before, so that revisions of the two must not be compared. */
export class OtherHistoryError extends Error {
  override readonly name = "OtherHistoryError";
}

/**
 * The verifier's copy of the project's log: the revocations that can still matter, across streams. If the log is replaced by one with
 * another history, what the copy held of the earlier ones still refuses JWTs, until the log has a recovery that is not known.
 */
export class RevocationCopy {
  readonly #freshness: Freshness;
  /** Holds the followed log. Its first snapshot may not be complete. */
  #followed = new RevocationIndex();
  #isComplete = false;
  /** Whether messages belong to a snapshot, whose revisions need not follow those of the copy. */
  #isFilling = false;
  #needsSnapshot = false;
  /** Indexes of earlier histories. They forget nothing: the service may issue new JWTs for sessions that they hold. */
  #past: RevocationIndex[] = [];
  /** Position of the last message that the copy fully covers. */
  #position = "";
  #isDisabled = false;
  /** Whether the current stream started after the project was found to be disabled. */
  #mayEnable = false;
  /** Ids of all recoveries that complete copies have had. */
  readonly #knownRecoveries = new Set<string>();
  /** Ids of the recoveries of the current stream's log. */
  #recoveries: readonly string[] = [];

  constructor(freshness: Freshness) {
    this.#freshness = freshness;
  }

  /** The index of the followed log; undefined before its first snapshot is complete. */
  get index(): RevocationIndex | undefined {
    return this.#isComplete ? this.#followed : undefined;
  }

  /** "changed" if the log was replaced by one with another history, and the service was not recovered since. */
  get history(): "current" | "changed" {
    return this.#past.length > 0 ? "changed" : "current";
  }

  /** JWTs that expired before must be rejected: their revocation may be forgotten. Milliseconds since 1970. */
  get forgottenUntil(): number {
    let latest = this.#followed.forgottenUntil;
    for (const { forgottenUntil } of this.#past) latest = Math.max(latest, forgottenUntil);
    return latest;
  }

  get sizes(): RevocationIndex["sizes"] {
    const all = [this.#followed, ...this.#past].map((index) => index.sizes);
    const sum = (name: keyof RevocationIndex["sizes"]) =>
      all.reduce((total, sizes) => total + sizes[name], 0);
    return { sessions: sum("sessions"), sessionBytes: sum("sessionBytes"), cutoffs: sum("cutoffs") };
  }

  /** Returns the revocation of a JWT's signing key or session, if it is revoked in the followed log or in an earlier history. */
  findRevocation(kid: string, subject: Subject): FoundRevocation | undefined {
    if (this.#isDisabled) return this.disabled;
    const found = this.#followed.findKeyRevocation(kid) ?? this.#followed.findRevocation(subject);
    if (found !== undefined || this.#past.length === 0) return found;
    for (const past of this.#past) {
      const revocation = past.findKeyRevocation(kid) ?? findPastRevocation(past, subject);
      if (revocation !== undefined) return revocation;
    }
    return undefined;
  }

  /** Revokes every session of the project, until a stream that starts later is up to date: its log has the revocation. */
  disableProject(): void {
    this.#isDisabled = true;
    this.#mayEnable = false;
  }

  /** The revocation of a disabled project. Its revision is not known: it is that of the copy. */
  get disabled(): FoundRevocation | undefined {
    return this.#isDisabled ? { scope: "project", revision: this.#followed.revision } : undefined;
  }

  /** Drops what mattered only before `limit` in the followed log, in milliseconds since 1970. */
  forget(limit: number): void {
    this.#followed.forget(limit);
  }

  /**
   * Returns where the next stream starts, and prepares for it. A later snapshot that breaks off is followed by an attempt to resume,
   * so that the server judges the position again: a snapshot itself does not show that the log is still the same.
   */
  nextStart(): StreamStart {
    this.#recoveries = [];
    this.#mayEnable = true;
    this.#isFilling = this.#needsSnapshot || !this.#isComplete;
    this.#needsSnapshot = false;
    if (!this.#isFilling) return { case: "after", value: this.#position };
    if (!this.#isComplete) this.#followed = new RevocationIndex();
    return { case: "snapshot", value: {} };
  }

  /** Makes the next stream start with a snapshot, which adds to the copy. */
  requireSnapshot(): void {
    this.#needsSnapshot = true;
  }

  /**
   * Starts a copy of a log with another history. Nothing is fresh until its snapshot is complete. Returns false if no copy was
   * complete before, so that nothing is known of another history.
   */
  changeHistory(): boolean {
    if (!this.#isComplete) return false;
    this.#past.push(this.#followed);
    const [oldest, second] = this.#past;
    if (this.#past.length > maxPast && oldest !== undefined) {
      second?.absorb(oldest);
      this.#past.shift();
    }
    this.#followed = new RevocationIndex();
    this.#isComplete = false;
    this.#freshness.distrust();
    return true;
  }

  /**
   * Applies a message of the call that started at `callStart`. Throws OutOfStepError if it does not continue the copy: the
   * revisions of a log have no gaps, so that a missing one is noticed. Throws OtherHistoryError.
   */
  apply(message: StreamMessage, callStart: Moment): CopyChange {
    if (message.recoveryIds.length > 0) this.#recoveries = message.recoveryIds;
    const change = this.#isFilling ? this.#fill(message) : this.#continue(message);
    if (message.revision >= this.#followed.revision) this.#position = message.position;
    if (!message.upToDate) return change;
    if (this.#mayEnable) this.#isDisabled = false;
    if (this.recovery !== undefined) this.#past = [];
    for (const id of this.#recoveries) this.#knownRecoveries.add(id);
    this.#freshness.recordSync(callStart, message.readOffsetMs);
    return change;
  }

  /** Id of the newest recovery of the current stream's log, if no complete copy has had it. */
  get recovery(): string | undefined {
    return this.#recoveries.find((id) => !this.#knownRecoveries.has(id));
  }

  #continue({ revocations, revision }: StreamMessage): CopyChange {
    const from = this.#followed.revision;
    const missing = revocations.findIndex((revocation, i) => revocation.revision !== from + i + 1);
    if (missing >= 0 || revision !== from + revocations.length) {
      throw new OutOfStepError(
        `the stream is at revision ${from}; the next message has ${revocations.length} revocations up to revision ${revision}, which leaves a gap`,
      );
    }
    for (const revocation of revocations) this.#followed.apply(revocation);
    return "none";
  }

  /** Adds revocations of an incomplete snapshot to the index at once. Those up to its revision are in it already. */
  #fill({ revocations, revision, upToDate }: StreamMessage): CopyChange {
    const from = this.#followed.revision;
    if (this.#isComplete && (this.recovery !== undefined || (upToDate && revision < from))) {
      const why = this.recovery === undefined ? `ends at revision ${revision}` : "has a new recovery";
      throw new OtherHistoryError(`the copy of the log is at revision ${from}; a snapshot of the log ${why}`);
    }
    for (const revocation of revocations) this.#followed.apply(revocation);
    this.#followed.advanceTo(revision);
    if (!upToDate) return "none";
    const isFirst = !this.#isComplete;
    this.#isComplete = true;
    this.#isFilling = false;
    return isFirst ? "first snapshot" : "resynchronised";
  }
}
