import type { Operation, Recovery, Restore, Span } from "../history.ts";

/** What a restore did to the effect of an operation. */
export type Fate = "kept" | "lost" | "unknown";

/** The histories of the log. The restore of a backup begins a new one, and so does the recovery after it. */
export class Histories {
  readonly restore: Restore | undefined;
  readonly recovery: Recovery | undefined;

  /** Of at most one restore and one recovery. */
  constructor(history: readonly Operation[]) {
    this.restore = history.find((operation) => operation.kind === "restore");
    this.recovery = history.find((operation) => operation.kind === "recovery");
  }

  /** Number of the history in which an operation took place. Undefined if it may be one of two. */
  numberOf({ start, end }: Span): number | undefined {
    const changes = [this.restore, this.recovery].filter((change) => change !== undefined);
    if (changes.some((change) => start <= change.end && end >= change.start)) return undefined;
    return changes.filter((change) => change.end < start).length;
  }

  fateOf({ start, end }: Span): Fate {
    if (this.restore === undefined || start > this.restore.end || end < this.restore.dump.start) {
      return "kept";
    }
    return start > this.restore.dump.end && end < this.restore.start ? "lost" : "unknown";
  }

  /** Whether the database had not been restored yet at this time. */
  isBeforeRestore(time: number): boolean {
    return this.restore === undefined || time < this.restore.start;
  }

  /** Whether an operation had ended before the recovery began. */
  isOlderThanRecovery({ end }: Span): boolean {
    return this.recovery !== undefined && end < this.recovery.start;
  }

  hasBegunRecovery(time: number): boolean {
    return this.recovery !== undefined && this.recovery.start < time;
  }

  hasRecovered(time: number): boolean {
    return this.recovery !== undefined && this.recovery.end < time;
  }
}
