import type { ActingUser } from "../ids.ts";
import type { MemberPermission } from "../policy.ts";
import type { Project, ServiceCredential } from "../project.ts";
import type { Session } from "../sessions/session.ts";

/** A service, authenticated by a credential of its project. */
export interface ServiceCaller {
  readonly kind: "service";
  readonly project: Project;
  readonly credential: ServiceCredential;
  /** For whom it acts, as it states in this call; undefined if it states nothing. */
  readonly actingUser?: ActingUser | undefined;
}

/** An end user with an active session, or a service that uses a member session's permissions. */
export interface MemberCaller {
  readonly kind: "member";
  readonly project: Project;
  readonly session: Session;
}

export type Caller = ServiceCaller | MemberCaller;

/** Names the caller in the log of revocations. */
export function actorOf(caller: Caller): string {
  return caller.kind === "service" ? `service/${caller.credential.id}` : `member/${caller.session.memberId}`;
}

/** For whom the caller acts. End users act for themselves. */
export function actingUserOf(caller: Caller): ActingUser | undefined {
  return caller.kind === "service" ? caller.actingUser : undefined;
}

/**
 * Whether the caller may access a session or member. A service may access its whole project; a member their own sessions and,
 * within their organization, what the project's policy grants one of their roles.
 */
export function mayReach(
  caller: Caller,
  target: Pick<Session, "memberId" | "organizationId">,
  permission: MemberPermission,
): boolean {
  if (caller.kind === "service" || target.memberId === caller.session.memberId) return true;
  const { organizationId } = caller.session;
  return (
    organizationId !== undefined && target.organizationId === organizationId && hasGrant(caller, permission)
  );
}

/** Whether the policy grants one of the member's roles `permission` over their organization. */
export function hasGrant(caller: MemberCaller, permission: MemberPermission): boolean {
  return caller.project.policy.roleGrants.some(
    (grant) => grant.permissions.includes(permission) && caller.session.roles.includes(grant.role),
  );
}
