import type { SignatureAlgorithm } from "./signature-algorithm.ts";

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

/** What session JWTs say, and how they name it. */
export const jwtProfiles = ["default", "stytch"] as const;
/** One of {@link jwtProfiles}. */
export type JwtProfile = (typeof jwtProfiles)[number];

/** Bounds of the number of active sessions that a policy may allow a member. */
export const maxSessionsBounds = { min: 1, max: 1000 } as const;

/** Bounds of the leeway for a replaced token, in milliseconds: 0 to 60 seconds. */
export const tokenReuseLeewayBounds = { min: 0, max: 60 * second } as const;

/** What a login does for a member who has as many active sessions as the policy allows. */
export type SessionLimitAction = "refuse" | "end_oldest";

/** What is done when a session token is presented that was replaced. */
export type TokenReuseAction = "refuse" | "revoke";

/** Rules for the sessions of a project. Durations in milliseconds. */
export interface Policy {
  readonly defaultLifetime: number;
  readonly maxLifetime: number;
  readonly defaultIdleTimeout: number | undefined;
  readonly jwtLifetime: number;
  readonly roleGrants: readonly RoleGrant[];
  readonly jwtProfile: JwtProfile;
  /** What the project's next signing key is made for; the profile's default where undefined. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  /** How many active sessions a member may have; any number where undefined. */
  readonly maxSessionsPerMember: number | undefined;
  readonly sessionLimitAction: SessionLimitAction;
  readonly tokenReuseAction: TokenReuseAction;
  /** How long the token that was replaced last is as good as its successor. */
  readonly tokenReuseLeeway: number;
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
  jwtProfile: "default",
  signatureAlgorithm: undefined,
  maxSessionsPerMember: undefined,
  sessionLimitAction: "refuse",
  tokenReuseAction: "refuse",
  tokenReuseLeeway: 10 * second,
};
