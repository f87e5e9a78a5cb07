import { SessiondError } from "../errors.ts";
import type { MemberId, OrganizationId, ProjectId, SessionId } from "../ids.ts";
import type { Revocation } from "../revocation.ts";
import { positionOf } from "./position.ts";

/** A revocation as watchers see it. */
export interface LoggedRevocation extends Pick<Revocation, "revision" | "scope" | "time" | "cause"> {
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

export interface LogPage {
  readonly revocations: readonly LoggedRevocation[];
  /** The newest committed revision, as of the same snapshot. */
  readonly head: number;
}

/** The log of revocations, as feeds read it. Fails with DATABASE_UNAVAILABLE. */
export interface RevocationLog {
  /** Reads up to `limit` revocations after revision `after`. */
  readRevocations(projectId: ProjectId, after: number, limit: number): Promise<LogPage>;
  /** The first revision that a watcher can resume after. */
  oldestResumable(projectId: ProjectId): Promise<number>;
  /** The revision after which all revocations lie that are still relevant to a JWT at `now`. */
  oldestRelevantRevision(projectId: ProjectId, now: Date): Promise<number>;
}

/** REVISION_OUT_OF_RANGE, with the revisions that a watcher can resume after. */
export async function revisionOutOfRange(
  log: RevocationLog,
  projectId: ProjectId,
  head: number,
): Promise<SessiondError> {
  const oldest = await log.oldestResumable(projectId);
  const metadata = {
    oldest_revision: String(oldest),
    oldest_position: positionOf(oldest),
    revision: String(head),
  };
  return new SessiondError("REVISION_OUT_OF_RANGE", { metadata });
}
