import type { JsonObject } from "@bufbuild/protobuf";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../ids.ts";
import type { Revocation } from "../revocation.ts";

/** Where a login came from; empty strings where unknown. */
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

/** A session as it is stored. All durations in milliseconds. */
export interface Session {
  readonly projectId: ProjectId;
  readonly id: SessionId;
  readonly memberId: MemberId;
  readonly organizationId: OrganizationId | undefined;
  /** The project's revision when the session was created, or when it was last spared by a revoke-all. */
  readonly createdRevision: number;
  readonly createTime: Date;
  readonly lastAccessTime: Date;
  readonly expireTime: Date;
  readonly idleTimeout: number | undefined;
  readonly device: Device;
  readonly authenticationFactors: readonly AuthenticationFactor[];
  readonly roles: readonly string[];
  readonly customClaims: JsonObject;
  /** The first revocation that hit the session. */
  readonly revocation: Revocation | undefined;
}

/** What a session is worth. Revoked is for good and outweighs expiry. */
export type SessionState = "active" | "expired" | "idle_expired" | "revoked";

/** What of a session tells when it ends by itself. */
export type SessionTimes = Pick<Session, "lastAccessTime" | "expireTime" | "idleTimeout">;

/** What `session` is worth at `now`. */
export function stateOf(session: SessionTimes & { readonly revocation: unknown }, now: Date): SessionState {
  if (session.revocation !== undefined) return "revoked";
  if (session.expireTime <= now) return "expired";
  const idleExpireTime = idleExpireTimeOf(session);
  return idleExpireTime !== undefined && idleExpireTime <= now ? "idle_expired" : "active";
}

/** When the session ends if nobody uses it. */
export function idleExpireTimeOf(session: SessionTimes): Date | undefined {
  return session.idleTimeout === undefined
    ? undefined
    : new Date(session.lastAccessTime.getTime() + session.idleTimeout);
}

/**
 * Whether an access at `now` is worth writing down: once a minute, or once in a tenth of the idle timeout where that is
 * shorter, lest a session in steady use would seem idle.
 */
export function isAccessDue(session: Session, now: Date): boolean {
  const interval = Math.min(60_000, (session.idleTimeout ?? Infinity) / 10);
  return now.getTime() - session.lastAccessTime.getTime() >= interval;
}
