import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import type { MemberId, SessionId } from "../ids.ts";
import type { Cause, CutoffTarget, RevocationReceipt, SessionTarget } from "../revocation.ts";
import { parseSessionToken } from "../token.ts";
import { type Caller, type MemberCaller, actingUserOf, actorOf, hasGrant, mayReach } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";

/** The target of a revocation, as a caller names it. */
export type RevokeTarget =
  | { readonly id: SessionId }
  | { readonly token: string }
  | { readonly jwt: string }
  | { readonly memberId: MemberId };

/** What a caller says about a revocation. */
export interface RevocationDetails {
  readonly cause: Cause;
  readonly reason: string;
  /** Whether to count the sessions that it ends. */
  readonly count: boolean;
}

/**
 * Ends one session, or all sessions of a member. Idempotent for a session: the receipt is that of the revocation that ended it.
 * SESSION_NOT_FOUND both if it does not exist and if the caller may not reach it; JWT_INVALID.
 */
export async function revoke(
  deps: Dependencies,
  caller: Caller,
  target: RevokeTarget,
  details: RevocationDetails,
  call: CallContext,
): Promise<RevocationReceipt> {
  if ("memberId" in target) {
    const { memberId } = target;
    const isOwn = caller.kind === "service" || memberId === caller.session.memberId;
    if (!isOwn) await requireGrant(deps, caller, memberId, call);
    return record(deps, caller, { scope: "member", id: memberId }, details, call);
  }
  const named = await sessionTargetOf(deps, caller, target, call);
  const reached = caller.kind === "service" ? named : await inReach(deps, caller, named, call);
  return record(deps, caller, reached, details, call);
}

/** Ends a session of the calling member, regardless of grants over other members; SESSION_NOT_FOUND. */
export async function revokeOwn(
  deps: Dependencies,
  caller: MemberCaller,
  id: SessionId,
  details: RevocationDetails,
  call: CallContext,
): Promise<RevocationReceipt> {
  const target = { scope: "session", id } as const;
  const owner = await deps.store.sessions.findOwner(caller.project.id, target, call);
  if (owner?.memberId !== caller.session.memberId) throw new SessiondError("SESSION_NOT_FOUND");
  return record(deps, caller, target, details, call);
}

/** Records a revocation. A cutoff always takes effect, at least on logins in flight; a session must exist. */
export async function record(
  deps: Dependencies,
  caller: Caller,
  target: SessionTarget | CutoffTarget,
  details: RevocationDetails,
  call: CallContext,
): Promise<RevocationReceipt> {
  const isLogout = details.cause === "unspecified" && caller.kind === "member";
  const cause = isLogout ? "logout" : details.cause;
  const projectId = caller.project.id;
  const who = { actor: actorOf(caller), actingUser: actingUserOf(caller) };
  const command = { ...details, ...who, projectId, target, time: deps.now(), cause };
  const receipt = await deps.store.revocations.revoke(command, call);
  if (receipt === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  return receipt;
}

/** CALLER_NOT_ALLOWED for a member of another organization, of several, or of no known one. */
async function requireGrant(deps: Dependencies, caller: MemberCaller, memberId: MemberId, call: CallContext) {
  const { organizationId } = caller.session;
  const isAllowed =
    organizationId !== undefined &&
    hasGrant(caller, "sessions.revoke") &&
    (await deps.store.sessions.isMemberOf(caller.project.id, memberId, organizationId, call));
  if (!isAllowed) throw new SessiondError("CALLER_NOT_ALLOWED");
}

async function sessionTargetOf(
  deps: Dependencies,
  caller: Caller,
  target: Exclude<RevokeTarget, { memberId: MemberId }>,
  call: CallContext,
): Promise<SessionTarget> {
  if ("id" in target) return { scope: "session", id: target.id };
  if ("token" in target) {
    const token = parseSessionToken(target.token, caller.project.tag);
    if (token === undefined) throw new SessiondError("SESSION_NOT_FOUND");
    return { scope: "session", token };
  }
  const options = { projectId: caller.project.id, now: deps.now(), times: "any" } as const;
  const verdict = await deps.jwts.verify(target.jwt, options, call);
  if ("problem" in verdict) {
    throw new SessiondError("JWT_INVALID", { metadata: { problem: verdict.problem } });
  }
  return { scope: "session", id: verdict.sessionId };
}

async function inReach(deps: Dependencies, caller: MemberCaller, target: SessionTarget, call: CallContext) {
  const owner = await deps.store.sessions.findOwner(caller.project.id, target, call);
  if (owner === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  if (mayReach(caller, owner, "sessions.revoke")) return { scope: "session", id: owner.id } as const;
  // The answer is the same as for an unknown session. The log, and the dialect that documents it, see the difference.
  throw new SessiondError("SESSION_NOT_FOUND", { cause: new SessiondError("CALLER_NOT_ALLOWED") });
}
