/** Everything of one target that was created before `revision` is dead. */
export interface Cutoff {
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly matterUntil: number;
}

/** The newest cutoff of each member, or of each organization. */
export class Cutoffs {
  /** In the order of their revisions, which is nearly that of matterUntil. */
  readonly #byId = new Map<string, Cutoff>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Cutoff | undefined {
    return this.#byId.get(id);
  }

  /** A cutoff newer than all before. */
  set(id: string, cutoff: Cutoff): void {
    const matterUntil = Math.max(cutoff.matterUntil, this.#byId.get(id)?.matterUntil ?? 0);
    this.#byId.delete(id);
    this.#byId.set(id, { revision: cutoff.revision, matterUntil });
  }

  /**
   * Drops those that mattered only before `limit`. It looks no further than the oldest that still matters, so that one behind
   * it, made when JWTs lived shorter, stays until that one goes.
   */
  forget(limit: number): void {
    for (const [id, { matterUntil }] of this.#byId) {
      if (matterUntil >= limit) return;
      this.#byId.delete(id);
    }
  }
}
