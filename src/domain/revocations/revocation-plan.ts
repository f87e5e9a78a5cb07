import type { SessionId } from "../ids.ts";
import type { SigningKeyRevocation } from "../keys/signing-key.ts";
import type { CutoffTarget, Revocation, RevocationCommand, RevocationReceipt } from "../revocation.ts";
import { type Session, type SessionTimes, stateOf } from "../sessions/session.ts";

/** The part of a session that a revocation depends on. */
export interface SessionSnapshot
  extends Pick<Session, "id" | "memberId" | "organizationId" | "createdRevision">, SessionTimes {
  readonly revocation: Pick<Revocation, "revision" | "time"> | undefined;
}

/** A command with the state of its target, as of the revision that the plan starts from. */
export interface PlannedInput {
  readonly command: RevocationCommand;
  /** The session to end or to exempt; undefined if it does not exist. */
  readonly session: SessionSnapshot | undefined;
  /** The signing key to refuse; undefined if it does not exist. */
  readonly signingKey?: { readonly revocation: SigningKeyRevocation | undefined } | undefined;
}

export interface PlannedRevocation {
  readonly revision: number;
  readonly command: RevocationCommand;
  /** Id of the session, member, organization, project or signing key that is revoked. */
  readonly targetId: string;
  /** The session that a cutoff exempted: one that exists, is within the scope and is not revoked. */
  readonly exceptSessionId: SessionId | undefined;
  /** The session that is revoked by name. */
  readonly session: SessionSnapshot | undefined;
}

/** The writes and receipts of a batch of commands of one project. */
export interface RevocationPlan {
  readonly log: readonly PlannedRevocation[];
  /** Sessions that are ended by name, with the revision that ends them. */
  readonly ended: ReadonlyMap<SessionId, number>;
  /** Sessions that a cutoff exempts, with their new created revision. */
  readonly exempted: ReadonlyMap<SessionId, number>;
  /** Signing keys that are refused from now on, by id. */
  readonly refusedKeys: ReadonlyMap<string, PlannedRevocation>;
  /** The receipt of each command; undefined if its session or key does not exist. */
  readonly receipts: readonly (RevocationReceipt | undefined)[];
}

/**
 * Plans a batch as if its commands came one after the other. Each takes the next revision after `revision`, except those whose
 * session or key was revoked before, by an earlier revocation or by an earlier command of the batch.
 */
export function planRevocations(batch: readonly PlannedInput[], revision: number): RevocationPlan {
  const planner = new Planner(revision);
  const receipts = batch.map((input) => planner.add(input));
  const { log, ended, exempted, refusedKeys } = planner;
  return { log, ended, exempted, refusedKeys, receipts };
}

class Planner {
  readonly log: PlannedRevocation[] = [];
  readonly ended = new Map<SessionId, number>();
  readonly exempted = new Map<SessionId, number>();
  readonly refusedKeys = new Map<string, PlannedRevocation>();
  readonly #cutoffs: { readonly target: CutoffTarget; readonly revision: number; readonly time: Date }[] = [];
  readonly #receiptOfSession = new Map<SessionId, RevocationReceipt>();
  #revision: number;

  constructor(revision: number) {
    this.#revision = revision;
  }

  add({ command, session, signingKey }: PlannedInput): RevocationReceipt | undefined {
    const { target } = command;
    switch (target.scope) {
      case "session":
        return this.#endSession(command, session);
      case "signing_key":
        return this.#refuseKey(command, target.id, signingKey);
      default:
        return this.#cutOff(command, target, session);
    }
  }

  #refuseKey(command: RevocationCommand, kid: string, key: PlannedInput["signingKey"]) {
    if (key === undefined) return undefined;
    const inBatch = this.refusedKeys.get(kid);
    const earlier = key.revocation ?? (inBatch && { revision: inBatch.revision, time: inBatch.command.time });
    if (earlier !== undefined) return { ...earlier, revokedCount: undefined };
    const planned = this.#record(command, kid);
    this.refusedKeys.set(kid, planned);
    return { revision: planned.revision, time: command.time, revokedCount: undefined };
  }

  #endSession(command: RevocationCommand, session: SessionSnapshot | undefined) {
    if (session === undefined) return undefined;
    const earlier = this.#earlierEnd(session);
    if (earlier !== undefined) return { revision: earlier.revision, time: earlier.time, revokedCount: 0 };
    const { revision } = this.#record(command, session.id, { session });
    const revokedCount = stateOf(session, command.time) === "active" ? 1 : 0;
    const receipt = { revision, time: command.time, revokedCount };
    this.ended.set(session.id, revision);
    this.#receiptOfSession.set(session.id, receipt);
    return receipt;
  }

  #cutOff(command: RevocationCommand, target: CutoffTarget, except: SessionSnapshot | undefined) {
    const isExempt = except !== undefined && covers(target, except) && this.#earlierEnd(except) === undefined;
    const targetId = target.scope === "project" ? command.projectId : target.id;
    const { revision } = this.#record(command, targetId, {
      exceptSessionId: isExempt ? except.id : undefined,
    });
    if (isExempt) this.exempted.set(except.id, revision);
    this.#cutoffs.push({ target, revision, time: command.time });
    return { revision, time: command.time, revokedCount: undefined };
  }

  #record(
    command: RevocationCommand,
    targetId: string,
    { exceptSessionId, session }: Partial<Pick<PlannedRevocation, "exceptSessionId" | "session">> = {},
  ) {
    const planned = { revision: ++this.#revision, command, targetId, exceptSessionId, session };
    this.log.push(planned);
    return planned;
  }

  /** What ended the session before this command, in the database or in this batch. */
  #earlierEnd(session: SessionSnapshot): Pick<RevocationReceipt, "revision" | "time"> | undefined {
    if (session.revocation !== undefined) return session.revocation;
    const byName = this.#receiptOfSession.get(session.id);
    if (byName !== undefined) return byName;
    const createdRevision = this.exempted.get(session.id) ?? session.createdRevision;
    return this.#cutoffs.find(
      ({ target, revision }) => revision > createdRevision && covers(target, session),
    );
  }
}

/** Whether the session is within the target, regardless of time. */
function covers(target: CutoffTarget, session: SessionSnapshot): boolean {
  if (target.scope === "project") return true;
  return target.id === (target.scope === "member" ? session.memberId : session.organizationId);
}
