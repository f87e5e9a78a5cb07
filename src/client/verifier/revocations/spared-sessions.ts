import type { Scope } from "./revocation.ts";

/** Cutoffs of one target, one after the other, that all spared the same session. */
export interface Sparing {
  readonly scope: Scope;
  readonly targetId: string;
  /** The last of them. Those before it need not be known: they spared the session too. */
  readonly last: number;
  /** The cutoff of the target before the first; 0 when none is held. */
  readonly before: number;
  /** Milliseconds since 1970. */
  readonly matterUntil: number;
}

/**
 * Which sessions cutoffs were to spare. Whether one was spared indeed is not known here: a dead session stays dead, and the id
 * may be that of a session outside the scope. It is decided when a JWT tells whose the session is.
 */
export class SparedSessions {
  readonly #bySession = new Map<string, readonly Sparing[]>();

  get size(): number {
    return this.#bySession.size;
  }

  /** In the order of their revisions. */
  of(sessionId: string): readonly Sparing[] {
    return this.#bySession.get(sessionId) ?? [];
  }

  /** A cutoff newer than all before. Joins the last one where both are of one target with nothing of it in between. */
  add(sessionId: string, sparing: Sparing): void {
    const known = this.of(sessionId);
    const last = known.at(-1);
    const joins =
      last?.scope === sparing.scope && last.targetId === sparing.targetId && last.last === sparing.before;
    const joined = joins ? { ...sparing, before: last.before } : sparing;
    this.#bySession.delete(sessionId);
    this.#bySession.set(sessionId, [...(joins ? known.slice(0, -1) : known), joined]);
  }

  /** Drops the sessions whose cutoffs all mattered only before `limit`; like Cutoffs, from the oldest on. */
  forget(limit: number): void {
    for (const [sessionId, sparings] of this.#bySession) {
      if (sparings.some(({ matterUntil }) => matterUntil >= limit)) return;
      this.#bySession.delete(sessionId);
    }
  }
}
