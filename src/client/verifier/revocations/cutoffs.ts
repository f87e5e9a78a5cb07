export type CutoffScope = "member" | "organization" | "project";

/** Revokes every session of a target that was created before `revision`. */
export interface Cutoff {
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly matterUntil: number;
}

/** The newest cutoff of each target of one scope. */
export class Cutoffs {
  /** Ordered by revision, which is nearly the order of matterUntil. */
  readonly #byId = new Map<string, Cutoff>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Cutoff | undefined {
    return this.#byId.get(id);
  }

  /** Sets a cutoff whose revision is higher than all before. It matters for as long as the one that it replaces, or longer. */
  set(id: string, revision: number, until: number): Cutoff {
    const cutoff = { revision, matterUntil: Math.max(until, this.#byId.get(id)?.matterUntil ?? 0) };
    this.#byId.delete(id);
    this.#byId.set(id, cutoff);
    return cutoff;
  }

  /**
   * Drops cutoffs that mattered only before `limit`. Stops at the oldest one that still matters: a cutoff behind it, from a time
   * when JWTs had shorter lifetimes, stays until that one goes.
   */
  forget(limit: number): void {
    for (const [id, { matterUntil }] of this.#byId) {
      if (matterUntil >= limit) return;
      this.#byId.delete(id);
    }
  }
}
