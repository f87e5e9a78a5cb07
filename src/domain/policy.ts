const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;

/** Bounds of a lifetime or idle timeout, in milliseconds: 1 second to 366 days. */
export const durationBounds = { min: second, max: 366 * day } as const;

/** Bounds of the lifetime of a session JWT, in milliseconds: 10 seconds to 1 hour. */
export const jwtLifetimeBounds = { min: 10 * second, max: hour } as const;

/** The permissions that a role can be granted over other members of the same organization. */
export const memberPermissions = ["sessions.read", "sessions.revoke"] as const;
/** One of {@link memberPermissions}. */
export type MemberPermission = (typeof memberPermissions)[number];

/** Rules for the sessions of a project. Durations in milliseconds. */
export interface Policy {
  readonly defaultLifetime: number;
  readonly maxLifetime: number;
  readonly defaultIdleTimeout: number | undefined;
  readonly jwtLifetime: number;
  readonly roleGrants: readonly RoleGrant[];
}

/** What members with a role may do to other members' sessions within their organization. */
export interface RoleGrant {
  readonly role: string;
  readonly permissions: readonly MemberPermission[];
}

/** The policy of a project that states none. */
export const defaultPolicy: Policy = {
  defaultLifetime: day,
  maxLifetime: durationBounds.max,
  defaultIdleTimeout: undefined,
  jwtLifetime: 300 * second,
  roleGrants: [],
};
