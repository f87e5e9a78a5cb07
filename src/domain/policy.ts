import type { JwtProfile } from "../jwt/claims.ts";
import type { SignatureAlgorithm } from "../jwt/signature.ts";
import { SessiondError } from "./errors.ts";

const second = 1000;
const hour = 3600 * second;
const day = 24 * hour;

/** Bounds of a lifetime or idle timeout, in milliseconds: 1 second to 366 days. */
export const durationBounds = { min: second, max: 366 * day } as const;

/** Bounds of the lifetime of a session JWT, in milliseconds: 10 seconds to 1 hour. */
export const jwtLifetimeBounds = { min: 10 * second, max: hour } as const;

/** The permissions that a role can be granted over other members of the same organization. */
export const memberPermissions = ["sessions.read", "sessions.revoke"] as const;
export type MemberPermission = (typeof memberPermissions)[number];

/** Most role grants of a policy, and longest name of a role in them. */
export const roleGrantBounds = { grants: 100, role: 255 } as const;

/** Bounds of the number of active sessions that a policy may allow a member. */
export const maxSessionsBounds = { min: 1, max: 1000 } as const;

/** Bounds of the leeway for a replaced token, in milliseconds: 0 to 60 seconds. */
export const tokenReuseLeewayBounds = { min: 0, max: 60 * second } as const;

/** What happens to a login beyond the limit of active sessions. */
export type SessionLimitAction = "refuse" | "end_oldest";

/** What happens when a replaced session token is presented. */
export type TokenReuseAction = "refuse" | "revoke";

/** Rules for the sessions of a project. Durations are in milliseconds. */
export interface Policy {
  readonly defaultLifetime: number;
  readonly maxLifetime: number;
  readonly defaultIdleTimeout: number | undefined;
  readonly jwtLifetime: number;
  readonly roleGrants: readonly RoleGrant[];
  readonly jwtProfile: JwtProfile;
  /** Algorithm of the project's next signing key; undefined for the profile's default. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  /** Most active sessions of a member; undefined for any number. */
  readonly maxSessionsPerMember: number | undefined;
  readonly sessionLimitAction: SessionLimitAction;
  readonly tokenReuseAction: TokenReuseAction;
  /** How long the most recently replaced token stays valid. */
  readonly tokenReuseLeeway: number;
}

export interface RoleGrant {
  readonly role: string;
  readonly permissions: readonly MemberPermission[];
}

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

/** New values of some fields. `defaultLifetime: undefined` stands for its default, which depends on `maxLifetime`. */
export type PolicyChange = Partial<Omit<Policy, "defaultLifetime">> & {
  readonly defaultLifetime?: number | undefined;
};

/** Applies a change. FIELD_INVALID if the changed fields do not fit the others. */
export function changePolicy(policy: Policy, change: PolicyChange): Policy {
  const { defaultLifetime = defaultPolicy.defaultLifetime, ...changed } = { ...policy, ...change };
  const { maxLifetime } = changed;
  const isDefault = "defaultLifetime" in change && change.defaultLifetime === undefined;
  if (isDefault) return { ...changed, defaultLifetime: Math.min(defaultLifetime, maxLifetime) };
  if (defaultLifetime <= maxLifetime) return { ...changed, defaultLifetime };
  const violation =
    change.defaultLifetime === undefined
      ? {
          field: "policy.max_lifetime",
          description: `must not be shorter than default_lifetime, which is ${defaultLifetime / 1000} seconds`,
        }
      : { field: "policy.default_lifetime", description: "must not be longer than max_lifetime" };
  throw new SessiondError("FIELD_INVALID", { violations: [violation] });
}
