import type { Histories } from "./histories.ts";
import { type Creation, type Revocation, reaches } from "../history.ts";

/** Revision of a revocation; -1 for undefined. */
export function revisionOf(revocation: Revocation | undefined): number {
  return revocation?.revision ?? -1;
}

/** Finds revocations that returned before, or started after, a time. Lookups take logarithmic time. */
export class RevisionOrder {
  readonly #ends: readonly number[];
  /** The newest up to each index. */
  readonly #newest: readonly Revocation[];
  readonly #starts: readonly number[];
  /** The oldest from each index on. */
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

  /** Greatest revision that returned before `time`. */
  newestReturnedBefore(time: number): Revocation | undefined {
    return this.#newest[firstIndex(this.#ends, (end) => end >= time) - 1];
  }

  /** Smallest revision that started after `time`. */
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

/** Binary search for the first number that fulfils the condition. */
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

/** Finds the revocations that may end a session. */
export class RevocationIndex {
  readonly #byTarget: ReadonlyMap<string, readonly Revocation[]>;
  readonly #known = new Map<string, readonly Revocation[]>();

  readonly #histories: Histories;

  constructor(revocations: readonly Revocation[], creations: readonly Creation[], histories: Histories) {
    this.#histories = histories;
    this.#byTarget = Map.groupBy(revocations, ({ scope, target }) => `${scope}/${target}`);
    for (const creation of creations) this.#known.set(creation.session, this.#find(creation));
  }

  of(creation: Creation): readonly Revocation[] {
    return this.#known.get(creation.session) ?? [];
  }

  #find(creation: Creation): readonly Revocation[] {
    const { session, member, organization } = creation;
    const keys = [`session/${session}`, `member/${member}`, `organization/${organization}`, "project/"];
    return keys
      .flatMap((key) => this.#byTarget.get(key) ?? [])
      .filter((revocation) => reaches(revocation, creation) && this.#canEnd(revocation, creation));
  }

  /** A cutoff ends only sessions that were created before it. Revisions of two histories are not compared. */
  #canEnd(revocation: Revocation, creation: Creation): boolean {
    if (revocation.end < creation.start) return false;
    const isSameHistory = this.#histories.numberOf(revocation) === this.#histories.numberOf(creation);
    return (
      !isSameHistory || revocation.revision === undefined || revocation.revision > creation.createdRevision
    );
  }
}
