import type { ActingUser, MemberId, SessionId } from "../ids.ts";
import type { SessionLimitAction } from "../policy.ts";

export interface SessionLimit {
  readonly max: number;
  readonly action: SessionLimitAction;
  /** Actor of the revocations that make room. */
  readonly actor: string;
  readonly actingUser?: ActingUser | undefined;
}

export interface LimitedLogin {
  readonly memberId: MemberId;
  readonly id: SessionId;
  readonly limit: SessionLimit;
}

export interface LoginPlan {
  readonly admitted: boolean;
  /** Sessions that it ends, oldest first; they may come from earlier logins of the batch. */
  readonly ends: readonly SessionId[];
}

/**
 * Plans a batch of logins as if they came one after the other. `active` holds the sessions of each member, oldest first. After
 * a limit was lowered, one login ends all sessions beyond it.
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
