import { SessiondError } from "../errors.ts";
import type { MemberId, OrganizationId, ProjectId, RevocationId, SessionId } from "../ids.ts";
import type { Revocation } from "../revocation.ts";
import type { LogBounds } from "./history.ts";
import { type Position, positionText } from "./position.ts";

/** A revocation as watchers see it. */
export interface LoggedRevocation extends Pick<Revocation, "revision" | "scope" | "time" | "cause"> {
  readonly id: RevocationId;
  readonly targetId: string;
  /** The session within the scope that stayed active. */
  readonly exceptSessionId: SessionId | undefined;
  /** When the last JWT signed before the revocation has expired. */
  readonly relevantUntil: Date;
}

/** A revocation as auditors see it. */
export interface RecordedRevocation
  extends LoggedRevocation, Pick<Revocation, "actor" | "actingUser" | "reason"> {
  /** The member and organization of the session, if the scope is a session; undefined in rows that an older version wrote. */
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
}

/** A part of a log, with its bounds as of the same snapshot. */
export interface LogPage extends LogBounds {
  readonly revocations: readonly LoggedRevocation[];
  /**
   * Id of the revocation, or of the start, at the revision after which the page starts; undefined if retention has removed it
   * or there was none.
   */
  readonly idBefore: RevocationId | undefined;
}

export interface LogHead extends LogBounds {
  /** Id of the revocation, or of the start, at the revision that was asked for; undefined as for a page. */
  readonly idAt: RevocationId | undefined;
  /** Ids of the recoveries of the log, newest first. */
  readonly recoveryIds: readonly string[];
}

/** The log of revocations, as feeds read it. Fails with DATABASE_UNAVAILABLE. */
export interface RevocationLog {
  /** Reads up to `limit` revocations after revision `after`. */
  readRevocations(projectId: ProjectId, after: number, limit: number): Promise<LogPage>;
  /** Reads the bounds of the log, and the id at revision `at`. */
  readHead(projectId: ProjectId, at: number): Promise<LogHead>;
  /** The first position in the history that a watcher can resume after. */
  oldestResumable(projectId: ProjectId): Promise<Position>;
  /** The position in the history after which all revocations lie that are still relevant to a JWT at `now`. */
  oldestRelevant(projectId: ProjectId, now: Date): Promise<Position>;
}

/** The failure of a watcher whose position is not in the log, with the positions that it can resume after. */
export async function outOfLog(
  reason: "REVISION_OUT_OF_RANGE" | "HISTORY_CHANGED",
  log: RevocationLog,
  projectId: ProjectId,
  head: Position,
): Promise<SessiondError> {
  const oldest = await log.oldestResumable(projectId);
  const metadata = {
    oldest_revision: String(oldest.revision),
    oldest_position: positionText(oldest),
    revision: String(head.revision),
  };
  return new SessiondError(reason, { metadata });
}
