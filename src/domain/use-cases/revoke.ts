import { type Caller, type MemberCaller, actorOf, hasGrant, mayReach } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import type { MemberId, SessionId } from "../ids.ts";
import type {
  Cause,
  CutoffTarget,
  RevocationOrder,
  RevocationReceipt,
  SessionTarget,
} from "../revocations/revocation.ts";
import { parseSessionToken } from "../sessions/token.ts";
import type { Deps } from "./deps.ts";

/** What to end, as the caller names it. */
export type RevokeTarget =
  | { readonly id: SessionId }
  | { readonly token: string }
  | { readonly jwt: string }
  | { readonly memberId: MemberId };

/** Why, and whether to count. */
export interface Why {
  readonly cause: Cause;
  readonly reason: string;
  readonly count: boolean;
}

/**
 * Ends one session, or all of a member. Idempotent for a session: the receipt is that of the revocation that ended it.
 * SESSION_NOT_FOUND alike when it is unknown and when it is not the caller's; JWT_INVALID.
 */
export async function revoke(
  deps: Deps,
  caller: Caller,
  target: RevokeTarget,
  why: Why,
): Promise<RevocationReceipt> {
  if ("memberId" in target) return revokeMember(deps, caller, target.memberId, why);
  const named = await sessionTargetOf(deps, caller, target);
  const reached = caller.kind === "service" ? named : await withinReach(deps, caller, named);
  return recordEnd(deps, caller, reached, why);
}

/** Ends a session of the calling member themselves, whatever else the policy lets them reach; SESSION_NOT_FOUND. */
export async function revokeOwn(
  deps: Deps,
  caller: MemberCaller,
  id: SessionId,
  why: Why,
): Promise<RevocationReceipt> {
  const target = { scope: "session", id } as const;
  const owner = await deps.store.findOwner(caller.project.id, target);
  if (owner?.memberId !== caller.session.memberId) throw new SessiondError("SESSION_NOT_FOUND");
  return recordEnd(deps, caller, target, why);
}

async function recordEnd(
  deps: Deps,
  caller: Caller,
  target: SessionTarget,
  why: Why,
): Promise<RevocationReceipt> {
  const receipt = await deps.store.revoke(orderOf(deps, caller, target, why));
  if (receipt === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  return receipt;
}

/** Ends all sessions of a member. */
async function revokeMember(deps: Deps, caller: Caller, id: MemberId, why: Why): Promise<RevocationReceipt> {
  if (caller.kind === "member" && id !== caller.session.memberId) await requireGrantOver(deps, caller, id);
  return recordCutoff(deps, caller, { scope: "member", id }, why);
}

/** Records a cutoff; it always takes effect, if only on logins in flight. */
export async function recordCutoff(
  deps: Deps,
  caller: Caller,
  target: CutoffTarget,
  why: Why,
): Promise<RevocationReceipt> {
  const receipt = await deps.store.revoke(orderOf(deps, caller, target, why));
  if (receipt === undefined) throw new Error("the store found no session in an order that names none");
  return receipt;
}

/** A member of another organization, of several, or of none that is known is out of reach: all alike CALLER_NOT_ALLOWED. */
async function requireGrantOver(deps: Deps, caller: MemberCaller, memberId: MemberId): Promise<void> {
  const { organizationId } = caller.session;
  const allowed =
    organizationId !== undefined &&
    hasGrant(caller, "sessions.revoke") &&
    (await deps.store.isMemberOf(caller.project.id, memberId, organizationId));
  if (!allowed) throw new SessiondError("CALLER_NOT_ALLOWED");
}

async function sessionTargetOf(
  deps: Deps,
  caller: Caller,
  target: Exclude<RevokeTarget, { memberId: MemberId }>,
): Promise<SessionTarget> {
  if ("id" in target) return { scope: "session", id: target.id };
  if ("token" in target) {
    const token = parseSessionToken(target.token, caller.project.tag);
    if (token === undefined) throw new SessiondError("SESSION_NOT_FOUND");
    return { scope: "session", token };
  }
  const projectId = caller.project.id;
  const verdict = await deps.jwts.verify(target.jwt, { projectId, now: deps.now(), allowExpired: true });
  if ("problem" in verdict) {
    throw new SessiondError("JWT_INVALID", { metadata: { problem: verdict.problem } });
  }
  return { scope: "session", id: verdict.sessionId };
}

async function withinReach(deps: Deps, caller: MemberCaller, target: SessionTarget): Promise<SessionTarget> {
  const owner = await deps.store.findOwner(caller.project.id, target);
  if (owner === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  if (mayReach(caller, owner, "sessions.revoke")) return { scope: "session", id: owner.id };
  // The caller learns no more than of an unknown one. The log, and the dialect that documents it, see the difference.
  throw new SessiondError("SESSION_NOT_FOUND", { cause: new SessiondError("CALLER_NOT_ALLOWED") });
}

function orderOf(deps: Deps, caller: Caller, target: RevocationOrder["target"], why: Why): RevocationOrder {
  const cause = why.cause === "unspecified" && caller.kind === "member" ? "logout" : why.cause;
  return { ...why, projectId: caller.project.id, target, time: deps.now(), cause, actor: actorOf(caller) };
}
