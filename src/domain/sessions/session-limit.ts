import type { MemberId, SessionId } from "../ids.ts";
import type { SessionLimitAction } from "../policy.ts";

/** How many active sessions a member may have, and what a login beyond that does. */
export interface SessionLimit {
  readonly max: number;
  readonly action: SessionLimitAction;
  /** Who logs in, as the log names whoever ends a session. */
  readonly actor: string;
}

/** A login that counts against a limit. */
export interface LimitedLogin {
  readonly memberId: MemberId;
  /** Of the session to be. */
  readonly id: SessionId;
  readonly limit: SessionLimit;
}

/** What becomes of a login. */
export interface LoginPlan {
  readonly admitted: boolean;
  /** Sessions that it ends, the oldest first: of those that were there, or that logins before it in the same batch began. */
  readonly ends: readonly SessionId[];
}

/**
 * Decides what a batch of logins does, as if they came one after the other. `active`: the sessions that each member has, the
 * oldest first. Where the limit was lowered meanwhile, one login ends as many as are too many.
 */
export function planLogins(
  logins: readonly LimitedLogin[],
  active: ReadonlyMap<MemberId, readonly SessionId[]>,
): readonly LoginPlan[] {
  const alive = new Map<MemberId, readonly SessionId[]>(active);
  return logins.map(({ memberId, id, limit }) => {
    const before = alive.get(memberId) ?? [];
    const excess = Math.max(0, before.length + 1 - limit.max);
    if (excess > 0 && limit.action === "refuse") return { admitted: false, ends: [] };
    alive.set(memberId, [...before.slice(excess), id]);
    return { admitted: true, ends: before.slice(0, excess) };
  });
}
