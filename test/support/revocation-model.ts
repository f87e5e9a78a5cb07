import type { SessionId } from "../../src/domain/ids.ts";
import { type RevocationOrder, type RevocationReceipt, isCutoff } from "../../src/domain/revocation.ts";
import { type Session, stateOf } from "../../src/domain/session.ts";

/**
 * A project as one would write it down without a thought for speed: every revocation goes through all sessions and marks
 * what it ends. What the store and its plan answer is compared with it.
 */
export class RevocationModel {
  revision = 0;
  readonly #sessions: readonly Session[];
  readonly #ends = new Map<SessionId, { readonly revision: number; readonly time: Date }>();

  constructor(sessions: readonly Session[]) {
    this.#sessions = sessions;
  }

  /** What ended the session, if anything did. */
  endOf(id: SessionId): { readonly revision: number; readonly time: Date } | undefined {
    return this.#ends.get(id);
  }

  /** `idOfToken` is the session that the order's token names. */
  revoke(order: RevocationOrder, idOfToken?: SessionId): RevocationReceipt | undefined {
    const { target, time } = order;
    if (target.scope === "session") return this.#revokeOne("id" in target ? target.id : idOfToken, time);
    if (!isCutoff(target)) throw new Error("signing keys are not in the model: they end no session");
    const revision = ++this.revision;
    const ended = this.#sessions.filter((session) => {
      const hit =
        target.scope === "project" ||
        target.id === (target.scope === "member" ? session.memberId : session.organizationId);
      return hit && session.id !== target.except && !this.#ends.has(session.id);
    });
    for (const { id } of ended) this.#ends.set(id, { revision, time });
    const active = ended.filter((session) => stateOf(session, time) === "active").length;
    return { revision, time, revokedCount: order.count ? active : undefined };
  }

  #revokeOne(id: SessionId | undefined, time: Date): RevocationReceipt | undefined {
    const session = this.#sessions.find((candidate) => candidate.id === id);
    if (session === undefined) return undefined;
    const earlier = this.#ends.get(session.id);
    if (earlier !== undefined) return { ...earlier, revokedCount: 0 };
    const end = { revision: ++this.revision, time };
    this.#ends.set(session.id, end);
    return { ...end, revokedCount: stateOf(session, time) === "active" ? 1 : 0 };
  }
}
