import type { SessionId } from "./ids.ts";
import type { CutoffTarget, RevocationOrder, RevocationReceipt } from "./revocation.ts";
import { type Session, stateOf } from "./session.ts";

/** An order and what the database says of the session it names or spares, read under the project's lock. */
export interface OrderInView {
  readonly order: RevocationOrder;
  /** The session to end, or the one to spare; undefined when there is none. */
  readonly session: Session | undefined;
  /** How many sessions a cutoff will end, where the order asks for it. */
  readonly active: number | undefined;
}

/** A revocation for the log. */
export interface PlannedRevocation {
  readonly revision: number;
  readonly order: RevocationOrder;
  /** The session, member, organization or project that dies. */
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
  return { log: plan.log, ended: plan.ended, spared: plan.spared, receipts };
}

class Planner {
  readonly log: PlannedRevocation[] = [];
  readonly ended = new Map<SessionId, number>();
  readonly spared = new Map<SessionId, number>();
  readonly #receiptOfSession = new Map<SessionId, RevocationReceipt>();
  #revision: number;

  constructor(revision: number) {
    this.#revision = revision;
  }

  add({ order, session, active }: OrderInView): RevocationReceipt | undefined {
    const { target } = order;
    return target.scope === "session"
      ? this.#endSession(order, session)
      : this.#cutOff(order, target, session, active);
  }

  #endSession(order: RevocationOrder, session: Session | undefined): RevocationReceipt | undefined {
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
    spared: Session | undefined,
    active: number | undefined,
  ): RevocationReceipt {
    const lives = spared !== undefined && covers(target, spared) && this.#earlierEnd(spared) === undefined;
    const targetId = target.scope === "project" ? order.projectId : target.id;
    const revision = this.#record(order, targetId, lives ? spared.id : undefined);
    if (lives) this.spared.set(spared.id, revision);
    return { revision, time: order.time, revokedCount: active };
  }

  #record(order: RevocationOrder, targetId: string, spared: SessionId | undefined): number {
    this.#revision++;
    this.log.push({ revision: this.#revision, order, targetId, spared });
    return this.#revision;
  }

  /** What ended the session before this order, in the database or in this batch. */
  #earlierEnd(session: Session): Pick<RevocationReceipt, "revision" | "time"> | undefined {
    if (session.revocation !== undefined) return session.revocation;
    const byName = this.#receiptOfSession.get(session.id);
    if (byName !== undefined) return byName;
    const createdRevision = this.spared.get(session.id) ?? session.createdRevision;
    const cutoff = this.log.find(
      ({ order: { target }, revision }) =>
        target.scope !== "session" && revision > createdRevision && covers(target, session),
    );
    return cutoff && { revision: cutoff.revision, time: cutoff.order.time };
  }
}

/** Whether a cutoff reaches the session, by what they are, not by when. */
function covers(target: CutoffTarget, session: Session): boolean {
  switch (target.scope) {
    case "member":
      return session.memberId === target.id;
    case "organization":
      return session.organizationId === target.id;
    case "project":
      return true;
  }
}
