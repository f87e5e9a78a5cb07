export type CutoffScope = "member" | "organization" | "project";

/** Revokes every session of a target that was created before `revision`. */
export interface Cutoff {
  readonly revision: number;
  /** When it was made, in milliseconds since 1970 on the server's clock. */
  readonly revokedAt: number;
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

  entries(): Iterable<[id: string, cutoff: Cutoff]> {
    return this.#byId.entries();
  }

  get(id: string): Cutoff | undefined {
    return this.#byId.get(id);
  }

  /**
   * Sets a cutoff whose revision is higher than all before. It stands for the one that it replaces too, so that neither of its times is
   * earlier than that one's.
   */
  set(id: string, { revision, revokedAt, matterUntil }: Cutoff): Cutoff {
    const replaced = this.#byId.get(id);
    const cutoff = {
      revision,
      revokedAt: Math.max(revokedAt, replaced?.revokedAt ?? 0),
      matterUntil: Math.max(matterUntil, replaced?.matterUntil ?? 0),
    };
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
