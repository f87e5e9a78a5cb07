import type { Caller } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import type { MemberId, OrganizationId, SessionId } from "../ids.ts";
import type { CutoffTarget, RevocationReceipt } from "../revocations/revocation.ts";
import type { Deps } from "./deps.ts";
import { type Why, recordCutoff } from "./revoke.ts";

/** Whose sessions to end, as the caller names them. */
export type RevokeAllScope =
  | { readonly scope: "self" }
  | { readonly scope: "member"; readonly id: MemberId }
  | { readonly scope: "organization"; readonly id: OrganizationId }
  | { readonly scope: "project" };

/** How to end them. */
export interface RevokeAll extends Why {
  readonly scope: RevokeAllScope;
  readonly except: SessionId | undefined;
  /** Change nothing, only count. */
  readonly validateOnly: boolean;
}

/** What was recorded; without a receipt when only counted. */
export type RevokeAllOutcome =
  | RevocationReceipt
  | { readonly revision: undefined; readonly time: undefined; readonly revokedCount: number };

/** Ends all sessions in a scope with one write. End users: their own only. Where it only counts, until `signal` aborts. */
export async function revokeAll(
  deps: Deps,
  caller: Caller,
  command: RevokeAll,
  signal?: AbortSignal,
): Promise<RevokeAllOutcome> {
  const target: CutoffTarget = { ...cutoffOf(caller, command.scope), except: command.except };
  if (!command.validateOnly) return recordCutoff(deps, caller, target, command);
  const revokedCount = await deps.store.countActive(caller.project.id, target, deps.now(), signal);
  return { revision: undefined, time: undefined, revokedCount };
}

function cutoffOf(caller: Caller, scope: RevokeAllScope): CutoffTarget {
  if (caller.kind === "member") {
    const { memberId } = caller.session;
    const own = scope.scope === "self" || (scope.scope === "member" && scope.id === memberId);
    if (!own) throw new SessiondError("CALLER_NOT_ALLOWED");
    return { scope: "member", id: memberId };
  }
  if (scope.scope === "self") {
    const description = "is for end users; a service names a member, an organization or the project";
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "self", description }] });
  }
  return scope;
}
