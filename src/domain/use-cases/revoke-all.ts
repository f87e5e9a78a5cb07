import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import type { MemberId, OrganizationId, SessionId } from "../ids.ts";
import type { CutoffTarget, RevocationReceipt } from "../revocation.ts";
import type { Caller } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";
import { type RevocationDetails, record } from "./revoke.ts";

/** The scope of a revoke-all, as a caller names it. */
export type RevokeAllScope =
  | { readonly scope: "self" }
  | { readonly scope: "member"; readonly id: MemberId }
  | { readonly scope: "organization"; readonly id: OrganizationId }
  | { readonly scope: "project" };

export interface RevokeAll extends RevocationDetails {
  readonly scope: RevokeAllScope;
  readonly except: SessionId | undefined;
  /** Only count the sessions. */
  readonly validateOnly: boolean;
}

/** The receipt, or only the count if nothing was revoked. */
export type RevokeAllOutcome =
  | RevocationReceipt
  | { readonly revision: undefined; readonly time: undefined; readonly revokedCount: number };

/** Ends all sessions in a scope with one write. End users may end only their own. */
export async function revokeAll(
  deps: Dependencies,
  caller: Caller,
  command: RevokeAll,
  call: CallContext,
): Promise<RevokeAllOutcome> {
  const target: CutoffTarget = { ...cutoffOf(caller, command.scope), except: command.except };
  if (!command.validateOnly) return record(deps, caller, target, command, call);
  const revokedCount = await deps.store.revocations.countActive(caller.project.id, target, deps.now(), call);
  return { revision: undefined, time: undefined, revokedCount };
}

function cutoffOf(caller: Caller, scope: RevokeAllScope): CutoffTarget {
  if (caller.kind === "member") {
    const { memberId } = caller.session;
    const isOwn = scope.scope === "self" || (scope.scope === "member" && scope.id === memberId);
    if (!isOwn) throw new SessiondError("CALLER_NOT_ALLOWED");
    return { scope: "member", id: memberId };
  }
  if (scope.scope === "self") {
    const description = "is for end users; a service names a member, an organization or the project";
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "self", description }] });
  }
  return scope;
}
