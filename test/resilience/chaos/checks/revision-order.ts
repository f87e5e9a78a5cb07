import type { Revocation } from "../history.ts";

/** The revision of a revocation that took effect; less than every other where there is none. */
export function revisionOf(revocation: Revocation | undefined): number {
  return revocation?.revision ?? -1;
}

/** Answers what had returned before, and what began after, a moment, in logarithmic time. */
export class RevisionOrder {
  readonly #ends: readonly number[];
  /** At each place the newest of those up to there. */
  readonly #newest: readonly Revocation[];
  readonly #starts: readonly number[];
  /** At each place the oldest of those from there on. */
  readonly #oldest: readonly Revocation[];

  constructor(revocations: readonly Revocation[]) {
    const byEnd = revocations.toSorted((a, b) => a.end - b.end);
    this.#ends = byEnd.map(({ end }) => end);
    this.#newest = running(byEnd, (a, b) => (revisionOf(a) > revisionOf(b) ? a : b));
    const byStart = revocations.toSorted((a, b) => a.start - b.start);
    this.#starts = byStart.map(({ start }) => start);
    this.#oldest = running(byStart.toReversed(), (a, b) =>
      revisionOf(a) < revisionOf(b) ? a : b,
    ).toReversed();
  }

  /** The one with the greatest revision. */
  newestReturnedBefore(time: number): Revocation | undefined {
    return this.#newest[firstIndex(this.#ends, (end) => end >= time) - 1];
  }

  /** The one with the least revision. */
  oldestBegunAfter(time: number): Revocation | undefined {
    return this.#oldest[firstIndex(this.#starts, (start) => start > time)];
  }
}

function running(
  items: readonly Revocation[],
  better: (a: Revocation, b: Revocation) => Revocation,
): Revocation[] {
  const results: Revocation[] = [];
  for (const item of items) {
    const last = results.at(-1);
    results.push(last === undefined ? item : better(last, item));
  }
  return results;
}

/** Where the ascending numbers begin to fulfil the condition. */
function firstIndex(ascending: readonly number[], holds: (value: number) => boolean): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(ascending[middle] ?? Infinity)) high = middle;
    else low = middle + 1;
  }
  return low;
}
