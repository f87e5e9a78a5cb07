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
  /** Set by {@link accessed}: see there. */
  readonly idleExpireTime?: Date | undefined;
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
export type SessionTimes = Pick<Session, "lastAccessTime" | "expireTime" | "idleTimeout" | "idleExpireTime">;

export function stateOf(session: SessionTimes & { readonly revocation: unknown }, now: Date): SessionState {
  if (session.revocation !== undefined) return "revoked";
  if (session.expireTime <= now) return "expired";
  const idleExpireTime = idleExpireTimeOf(session);
  return idleExpireTime !== undefined && idleExpireTime <= now ? "idle_expired" : "active";
}

/** When the session expires unless it is used: the idle timeout after the last access that is recorded. */
export function idleExpireTimeOf(session: SessionTimes): Date | undefined {
  const { idleTimeout, lastAccessTime, idleExpireTime } = session;
  if (idleTimeout === undefined) return undefined;
  return idleExpireTime ?? new Date(lastAccessTime.getTime() + idleTimeout);
}

/**
 * Whether to record an access at `now`: once a minute, or once per tenth of a shorter idle timeout, so that a session in
 * steady use never looks idle.
 */
export function isAccessDue(session: Session, now: Date): boolean {
  return now.getTime() - session.lastAccessTime.getTime() >= accessIntervalOf(session);
}

function accessIntervalOf({ idleTimeout = Infinity }: SessionTimes): number {
  return Math.min(60_000, idleTimeout / 10);
}

/**
 * Shows an access at `now`. The end of the idle timeout stays that of the stored row: this access may not be due, and a due one is
 * written after the answer and may be lost. So no session is ended before the time that an answer has announced. Rejected: an idle
 * timeout that is longer than stated by the interval of recording, which is as exact only if no write is lost.
 */
export function accessed(session: Session, now: Date): Session {
  return { ...session, lastAccessTime: now, idleExpireTime: idleExpireTimeOf(session) };
}

/**
 * When a session that is accessed at `now` expires unless it is used again, for its JWT: as if a due access were already recorded,
 * because a JWT would otherwise be short-lived whenever an owner returns late.
 */
export function idleExpireTimeFrom(session: Session, now: Date): Date | undefined {
  const { idleTimeout } = session;
  const end = idleExpireTimeOf(session);
  if (idleTimeout === undefined || end === undefined) return undefined;
  const next = new Date(now.getTime() + idleTimeout);
  return next.getTime() - end.getTime() >= accessIntervalOf(session) ? next : end;
}
