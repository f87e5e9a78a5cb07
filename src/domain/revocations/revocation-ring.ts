import type { RevocationId } from "../ids.ts";
import type { Position } from "./position.ts";
import type { LogPage, LoggedRevocation } from "./revocation-log.ts";

/** Most revocations that are read from the log, or sent, at once. */
export const pageSize = 1000;

/** The newest revocations of a log, for watchers that are a little behind. Every revision after {@link start} is there. */
export class RevocationRing {
  readonly #capacity: number;
  #revocations: LoggedRevocation[] = [];
  #start: Position;

  constructor(capacity: number, start: Position) {
    this.#capacity = capacity;
    this.#start = start;
  }

  /** The position before the oldest revocation here. */
  get start(): Position {
    return this.#start;
  }

  get head(): Position {
    return this.#revocations.at(-1) ?? this.#start;
  }

  /** Empties the ring; it continues after `head`. */
  restart(head: Position): void {
    this.#revocations = [];
    this.#start = head;
  }

  /** Appends the revocations that follow the head, and drops the oldest beyond the capacity. */
  append(revocations: readonly LoggedRevocation[]): void {
    this.#revocations.push(...revocations);
    const excess = this.#revocations.length - this.#capacity;
    if (excess <= 0) return;
    this.#start = this.#revocations.splice(0, excess).at(-1) ?? this.#start;
  }

  /** Up to a page of revocations after `revision`, which must not be before the start. */
  after(revision: number): readonly LoggedRevocation[] {
    const from = revision - this.#start.revision;
    return this.#revocations.slice(from, from + pageSize);
  }

  /** The id at a revision; undefined if it is before the start or after the head. */
  idAt(revision: number): RevocationId | undefined {
    if (revision === this.#start.revision) return this.#start.id;
    return this.#revocations[revision - this.#start.revision - 1]?.id;
  }
}

/** Whether a page starts right after `after` and is complete: no revision is ever skipped. */
export function isComplete({ revocations, head, idBefore }: LogPage, after: number): boolean {
  if (idBefore === undefined) return false;
  const last = revocations.at(-1)?.revision ?? after;
  return last === after + revocations.length && (last >= head.revision || revocations.length === pageSize);
}
