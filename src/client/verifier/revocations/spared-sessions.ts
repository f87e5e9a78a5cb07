import type { CutoffScope } from "./cutoffs.ts";

/** Consecutive cutoffs of one target that all exempt the same session. */
export interface Sparing {
  readonly scope: CutoffScope;
  readonly targetId: string;
  /** Revision of the last one. The earlier ones are not needed: they exempt the session too. */
  readonly last: number;
  /** Revision of the target's cutoff before the first one, and when it was made (milliseconds since 1970); 0 without one. */
  readonly before: number;
  readonly beforeRevokedAt: number;
  /** Milliseconds since 1970. */
  readonly matterUntil: number;
}

/**
 * Sessions that cutoffs exempt. An exemption may have no effect: the session may be revoked before, or lie outside the scope.
 * This is decided later, when a JWT names the session's member and organization.
 */
export class SparedSessions {
  readonly #bySession = new Map<string, readonly Sparing[]>();

  clear(): void {
    this.#bySession.clear();
  }

  /** Ordered by revision. */
  of(sessionId: string): readonly Sparing[] {
    return this.#bySession.get(sessionId) ?? [];
  }

  /** Adds a cutoff whose revision is higher than all before. Extends the last sparing if both are consecutive cutoffs of one target. */
  add(sessionId: string, sparing: Sparing): void {
    const known = this.of(sessionId);
    const last = known.at(-1);
    const joins =
      last?.scope === sparing.scope && last.targetId === sparing.targetId && last.last === sparing.before;
    const { before, beforeRevokedAt } = joins ? last : sparing;
    const joined = { ...sparing, before, beforeRevokedAt };
    this.#bySession.delete(sessionId);
    this.#bySession.set(sessionId, [...(joins ? known.slice(0, -1) : known), joined]);
  }

  /** Drops sessions whose cutoffs all mattered only before `limit`. Stops at the first other one, like Cutoffs. */
  forget(limit: number): void {
    for (const [sessionId, sparings] of this.#bySession) {
      if (sparings.some(({ matterUntil }) => matterUntil >= limit)) return;
      this.#bySession.delete(sessionId);
    }
  }
}
