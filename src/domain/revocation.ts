import type { ActingUser, MemberId, OrganizationId, ProjectId, SessionId } from "./ids.ts";
import type { TokenRef } from "./token.ts";

/** Longest reason of a revocation, in Unicode code points. */
export const maxReasonLength = 512;

/** Cause of a revocation; `session.v1.RevocationCause` documents each. */
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

export type Scope = "session" | "member" | "organization" | "project" | "signing_key";

export interface Revocation {
  readonly revision: number;
  readonly scope: Scope;
  readonly time: Date;
  readonly cause: Cause;
  /** Free text of the caller; empty if none was given. */
  readonly reason: string;
  /** `service/<credential id>`, `member/<member id>`, {@link policyActor} or {@link operatorActor}. */
  readonly actor: string;
  /** For whom the service that is the actor acted, as it stated; undefined if it stated nothing. */
  readonly actingUser: ActingUser | undefined;
}

/** Actor of revocations that follow from the project's policy, without a request for them. */
export const policyActor = "policy";

/** Actor of revocations that an operator makes in the database itself: `sessiond recover`. */
export const operatorActor = "operator";

export type SessionTarget =
  | { readonly scope: "session"; readonly id: SessionId }
  | { readonly scope: "session"; readonly token: TokenRef };

/** A cutoff: ends all sessions within the scope that were created before it. */
export type CutoffTarget = (
  | { readonly scope: "member"; readonly id: MemberId }
  | { readonly scope: "organization"; readonly id: OrganizationId }
  | { readonly scope: "project" }
) & {
  /** A session within the scope that stays active. */
  readonly except?: SessionId | undefined;
};

/** A signing key to refuse. Sessions stay active. */
export interface SigningKeyTarget {
  readonly scope: "signing_key";
  /** Its `kid`. */
  readonly id: string;
}

export function isCutoff(target: RevocationCommand["target"]): target is CutoffTarget {
  return target.scope !== "session" && target.scope !== "signing_key";
}

export interface RevocationCommand {
  readonly projectId: ProjectId;
  readonly target: SessionTarget | CutoffTarget | SigningKeyTarget;
  readonly time: Date;
  readonly cause: Cause;
  readonly reason: string;
  readonly actor: string;
  readonly actingUser?: ActingUser | undefined;
  /** Whether to count the sessions that a cutoff ends. One session is always counted. */
  readonly count: boolean;
}

/** The revocation that was recorded, or the earlier one that had already ended the session or key. */
export interface RevocationReceipt {
  readonly revision: number;
  readonly time: Date;
  /** How many active sessions it ended; undefined if not counted. */
  readonly revokedCount: number | undefined;
}
