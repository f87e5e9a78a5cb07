import type { Selectable } from "kysely";
import type { ActingUser, MemberId, OrganizationId, ProjectId, SessionId } from "../../domain/ids.ts";
import type { Revocation } from "../../domain/revocation.ts";
import type { Session } from "../../domain/sessions/session.ts";
import type { SessionOwner } from "../../domain/store/session-store.ts";
import type { identityColumns, livenessColumns, sessionColumns } from "../schema/columns.ts";
import type { SessionsTable } from "../schema/tables.ts";

interface WithCutoff {
  /** The newest cutoff over the session. */
  readonly cutoff: number | null;
}

export type SessionRow = Pick<Selectable<SessionsTable>, (typeof sessionColumns)[number]> & WithCutoff;

/** The columns that decide whether a session is revoked or expired, and its cutoff. */
export type LivenessRow = Pick<
  Selectable<SessionsTable>,
  (typeof identityColumns)[number] | (typeof livenessColumns)[number]
> &
  WithCutoff;

/** Whether a revocation ended the session, by name or as a cutoff. */
export function isRevoked(row: Pick<LivenessRow, "revoked_revision" | "created_revision" | "cutoff">) {
  return row.revoked_revision !== null || (row.cutoff ?? 0) > row.created_revision;
}

export function toSession(row: Omit<SessionRow, "cutoff">, revocation: Revocation | undefined): Session {
  return {
    ...toOwner(row),
    projectId: row.project_id as ProjectId,
    createdRevision: row.created_revision,
    createTime: row.create_time,
    lastAccessTime: row.last_access_time,
    expireTime: row.expire_time,
    idleTimeout: row.idle_timeout_ms ?? undefined,
    device: { userAgent: row.user_agent, ipAddress: row.ip_address },
    authenticationFactors: row.authentication_factors.map((factor) => ({
      method: factor.method,
      deliveryMethod: factor.delivery_method,
      assuranceLevel: factor.assurance_level,
      authenticateTime: new Date(factor.authenticate_time),
    })),
    roles: row.roles,
    customClaims: row.custom_claims,
    revocation,
  };
}

export function toOwner(row: Pick<SessionRow, "id" | "member_id" | "organization_id">): SessionOwner {
  return {
    id: row.id as SessionId,
    memberId: row.member_id as MemberId,
    organizationId: (row.organization_id ?? undefined) as OrganizationId | undefined,
  };
}

export function toActingUser(text: string): ActingUser | undefined {
  return text === "" ? undefined : (text as ActingUser);
}

/** Puts each result at the place of its request. Places count from 1, as SQL's ordinality does. */
export function atPlaces<Row extends { place: number }, T>(
  length: number,
  rows: readonly Row[],
  toValue: (row: Row, index: number) => T | undefined,
): (T | undefined)[] {
  const places = Array.from<T | undefined>({ length });
  rows.forEach((row, i) => {
    places[row.place - 1] = toValue(row, i);
  });
  return places;
}
