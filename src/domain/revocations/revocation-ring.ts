import type { LogPage, LoggedRevocation } from "./revocation-log.ts";

/** Most revocations that are read from the log, or sent, at once. */
export const pageSize = 1000;

/** The newest revocations of a log, for watchers that are a little behind. Every revision after {@link start} is there. */
export class RevocationRing {
  readonly #capacity: number;
  #revocations: LoggedRevocation[] = [];
  #start = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The revision before the oldest revocation here. */
  get start(): number {
    return this.#start;
  }

  get head(): number {
    return this.#start + this.#revocations.length;
  }

  /** Empties the ring; it continues after revision `head`. */
  restart(head: number): void {
    this.#revocations = [];
    this.#start = head;
  }

  /** Appends the revocations that follow the head, and drops the oldest beyond the capacity. */
  append(revocations: readonly LoggedRevocation[]): void {
    this.#revocations.push(...revocations);
    const excess = this.#revocations.length - this.#capacity;
    if (excess <= 0) return;
    this.#revocations.splice(0, excess);
    this.#start += excess;
  }

  /** Up to a page of revocations after `revision`, which must not be before the start. */
  after(revision: number): readonly LoggedRevocation[] {
    const from = revision - this.#start;
    return this.#revocations.slice(from, from + pageSize);
  }
}

/** Whether a page starts right after `after` and is complete: no revision is ever skipped. */
export function isComplete({ revocations, head }: LogPage, after: number): boolean {
  const last = revocations.at(-1)?.revision ?? after;
  return last === after + revocations.length && (last >= head || revocations.length === pageSize);
}
