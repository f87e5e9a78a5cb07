import type { MemberId, OrganizationId, ProjectId, SessionId } from "../ids.ts";
import type { TokenRef } from "../sessions/token.ts";

/** Why a revocation was made; the meaning of each stands in `session.v1.RevocationCause`. */
export type Cause =
  | "unspecified"
  | "logout"
  | "credential_change"
  | "compromise"
  | "administration"
  | "member_disabled"
  | "policy"
  | "session_limit"
  | "token_reuse";

/** What a revocation ended. */
export type Scope = "session" | "member" | "organization" | "project" | "signing_key";

/** A revocation as the log keeps it. */
export interface Revocation {
  readonly revision: number;
  readonly scope: Scope;
  readonly time: Date;
  readonly cause: Cause;
  /** Why, in the caller's words; empty when none were given. */
  readonly reason: string;
  /** Who: `service/<credential id>`, `member/<member id>`, or {@link policyActor}. */
  readonly actor: string;
}

/** How the log names the project's policy, where nobody asked for what it did. */
export const policyActor = "policy";

/** A session to end. */
export type SessionTarget =
  | { readonly scope: "session"; readonly id: SessionId }
  | { readonly scope: "session"; readonly token: TokenRef };

/** A cutoff to make: everything of it that was created before dies. */
export type CutoffTarget = (
  | { readonly scope: "member"; readonly id: MemberId }
  | { readonly scope: "organization"; readonly id: OrganizationId }
  | { readonly scope: "project" }
) & {
  /** A session within the scope that stays alive. */
  readonly except?: SessionId | undefined;
};

/** A signing key to refuse; the sessions live on. */
export interface SigningKeyTarget {
  readonly scope: "signing_key";
  /** Its `kid`. */
  readonly id: string;
}

/** Whether what is ended is everything of somebody that was created before. */
export function isCutoff(target: RevocationOrder["target"]): target is CutoffTarget {
  return target.scope !== "session" && target.scope !== "signing_key";
}

/** A revocation to record. */
export interface RevocationOrder {
  readonly projectId: ProjectId;
  readonly target: SessionTarget | CutoffTarget | SigningKeyTarget;
  readonly time: Date;
  readonly cause: Cause;
  readonly reason: string;
  readonly actor: string;
  /** Whether to count what was alive. One session is always counted. */
  readonly count: boolean;
}

/** What was recorded: now, or, for a session or key that had ended already, by the revocation that ended it. */
export interface RevocationReceipt {
  readonly revision: number;
  readonly time: Date;
  /** How many sessions were alive until then; undefined when not counted. */
  readonly revokedCount: number | undefined;
}
