import type { SessionId } from "../ids.ts";
import type { CutoffTarget, Revocation, RevocationOrder, RevocationReceipt } from "./revocation.ts";
import { type Session, type SessionTimes, stateOf } from "../sessions/session.ts";
import type { StoredSigningKey } from "../keys/signing-key.ts";

/** What a revocation has to know of a session. */
export interface SessionInView
  extends Pick<Session, "id" | "memberId" | "organizationId" | "createdRevision">, SessionTimes {
  readonly revocation: Pick<Revocation, "revision" | "time"> | undefined;
}

/** An order and what the database says of the session it names or spares, as of the revision that the plan starts from. */
export interface OrderInView {
  readonly order: RevocationOrder;
  /** The session to end, or the one to spare; undefined when there is none. */
  readonly session: SessionInView | undefined;
  /** The signing key to refuse; undefined when there is none. */
  readonly signingKey?: Pick<StoredSigningKey, "revocation"> | undefined;
}

/** A revocation for the log. */
export interface PlannedRevocation {
  readonly revision: number;
  readonly order: RevocationOrder;
  /** The session, member, organization, project or signing key that dies. */
  readonly targetId: string;
  /** The session that a cutoff really spared: one that was there, within the scope and alive. */
  readonly spared: SessionId | undefined;
}

/** What a batch of orders of one project writes, and what it answers. */
export interface RevocationPlan {
  readonly log: readonly PlannedRevocation[];
  /** Sessions that end by name, with the revision that ended them. */
  readonly ended: ReadonlyMap<SessionId, number>;
  /** Sessions spared by a cutoff, with the revision that they now count as created at. */
  readonly spared: ReadonlyMap<SessionId, number>;
  /** Ids of signing keys that are refused from now on, with the revocations that say so. */
  readonly refusedKeys: ReadonlyMap<string, PlannedRevocation>;
  /** At the place of each order; undefined where it names a session that is not there. */
  readonly receipts: readonly (RevocationReceipt | undefined)[];
}

/**
 * Decides what a batch of revocations does, as if its orders came one after the other: each takes the next revision after
 * `revision`, except those whose session has ended already, by an earlier revocation or by an earlier order of the batch.
 */
export function planRevocations(batch: readonly OrderInView[], revision: number): RevocationPlan {
  const plan = new Planner(revision);
  const receipts = batch.map((item) => plan.add(item));
  return { ...plan.outcome, receipts };
}

class Planner {
  readonly log: PlannedRevocation[] = [];
  readonly ended = new Map<SessionId, number>();
  readonly spared = new Map<SessionId, number>();
  readonly refusedKeys = new Map<string, PlannedRevocation>();
  readonly #cutoffs: { readonly target: CutoffTarget; readonly revision: number; readonly time: Date }[] = [];
  readonly #receiptOfSession = new Map<SessionId, RevocationReceipt>();
  #revision: number;

  constructor(revision: number) {
    this.#revision = revision;
  }

  get outcome(): Omit<RevocationPlan, "receipts"> {
    const { log, ended, spared, refusedKeys } = this;
    return { log, ended, spared, refusedKeys };
  }

  add({ order, session, signingKey }: OrderInView): RevocationReceipt | undefined {
    const { target } = order;
    switch (target.scope) {
      case "session":
        return this.#endSession(order, session);
      case "signing_key":
        return this.#refuseKey(order, target.id, signingKey);
      default:
        return this.#cutOff(order, target, session);
    }
  }

  #refuseKey(
    order: RevocationOrder,
    kid: string,
    key: OrderInView["signingKey"],
  ): RevocationReceipt | undefined {
    if (key === undefined) return undefined;
    const earlier = this.refusedKeys.get(kid);
    const told = key.revocation ?? (earlier && { revision: earlier.revision, time: earlier.order.time });
    if (told !== undefined) return { ...told, revokedCount: undefined };
    const revision = this.#record(order, kid, undefined);
    this.refusedKeys.set(kid, { revision, order, targetId: kid, spared: undefined });
    return { revision, time: order.time, revokedCount: undefined };
  }

  #endSession(order: RevocationOrder, session: SessionInView | undefined): RevocationReceipt | undefined {
    if (session === undefined) return undefined;
    const earlier = this.#earlierEnd(session);
    if (earlier !== undefined) return { revision: earlier.revision, time: earlier.time, revokedCount: 0 };
    const revision = this.#record(order, session.id, undefined);
    const revokedCount = stateOf(session, order.time) === "active" ? 1 : 0;
    const receipt = { revision, time: order.time, revokedCount };
    this.ended.set(session.id, revision);
    this.#receiptOfSession.set(session.id, receipt);
    return receipt;
  }

  #cutOff(
    order: RevocationOrder,
    target: CutoffTarget,
    spared: SessionInView | undefined,
  ): RevocationReceipt {
    const lives = spared !== undefined && covers(target, spared) && this.#earlierEnd(spared) === undefined;
    const targetId = target.scope === "project" ? order.projectId : target.id;
    const revision = this.#record(order, targetId, lives ? spared.id : undefined);
    if (lives) this.spared.set(spared.id, revision);
    this.#cutoffs.push({ target, revision, time: order.time });
    return { revision, time: order.time, revokedCount: undefined };
  }

  #record(order: RevocationOrder, targetId: string, spared: SessionId | undefined): number {
    this.#revision++;
    this.log.push({ revision: this.#revision, order, targetId, spared });
    return this.#revision;
  }

  /** What ended the session before this order, in the database or in this batch. */
  #earlierEnd(session: SessionInView): Pick<RevocationReceipt, "revision" | "time"> | undefined {
    if (session.revocation !== undefined) return session.revocation;
    const byName = this.#receiptOfSession.get(session.id);
    if (byName !== undefined) return byName;
    const createdRevision = this.spared.get(session.id) ?? session.createdRevision;
    return this.#cutoffs.find(
      ({ target, revision }) => revision > createdRevision && covers(target, session),
    );
  }
}

/** Whether a cutoff reaches the session, by what they are, not by when. */
function covers(target: CutoffTarget, session: SessionInView): boolean {
  switch (target.scope) {
    case "member":
      return session.memberId === target.id;
    case "organization":
      return session.organizationId === target.id;
    case "project":
      return true;
  }
}
