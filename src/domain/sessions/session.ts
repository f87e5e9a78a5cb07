import type { JsonObject } from "@bufbuild/protobuf";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../ids.ts";
import type { Revocation } from "../revocation.ts";

/** Origin of a login; empty strings if unknown. */
export interface Device {
  readonly userAgent: string;
  readonly ipAddress: string;
}

/** One proof of identity given at login. */
export interface AuthenticationFactor {
  readonly method: string;
  readonly deliveryMethod: string;
  readonly assuranceLevel: string;
  readonly authenticateTime: Date;
}

/** A session. Durations are in milliseconds. */
export interface Session {
  readonly projectId: ProjectId;
  readonly id: SessionId;
  readonly memberId: MemberId;
  readonly organizationId: OrganizationId | undefined;
  /** The project's revision when the session was created, or last exempted from a revoke-all. */
  readonly createdRevision: number;
  readonly createTime: Date;
  readonly lastAccessTime: Date;
  readonly expireTime: Date;
  readonly idleTimeout: number | undefined;
  readonly device: Device;
  readonly authenticationFactors: readonly AuthenticationFactor[];
  readonly roles: readonly string[];
  readonly customClaims: JsonObject;
  /** The first revocation of the session. */
  readonly revocation: Revocation | undefined;
}

/** State of a session. Revoked is final, and takes precedence over expired. */
export type SessionState = "active" | "expired" | "idle_expired" | "revoked";

/** The fields that determine when a session expires. */
export type SessionTimes = Pick<Session, "lastAccessTime" | "expireTime" | "idleTimeout">;

export function stateOf(session: SessionTimes & { readonly revocation: unknown }, now: Date): SessionState {
  if (session.revocation !== undefined) return "revoked";
  if (session.expireTime <= now) return "expired";
  const idleExpireTime = idleExpireTimeOf(session);
  return idleExpireTime !== undefined && idleExpireTime <= now ? "idle_expired" : "active";
}

/** When the session expires unless it is used. */
export function idleExpireTimeOf(session: SessionTimes): Date | undefined {
  return session.idleTimeout === undefined
    ? undefined
    : new Date(session.lastAccessTime.getTime() + session.idleTimeout);
}

/**
 * Whether to record an access at `now`: once a minute, or once per tenth of a shorter idle timeout, so that a session in
 * steady use never looks idle.
 */
export function isAccessDue(session: Session, now: Date): boolean {
  const interval = Math.min(60_000, (session.idleTimeout ?? Infinity) / 10);
  return now.getTime() - session.lastAccessTime.getTime() >= interval;
}
