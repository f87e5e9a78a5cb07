import { type RawBuilder, sql } from "kysely";
import type { MemberId, OrganizationId, ProjectId } from "../../domain/ids.ts";
import type { CutoffTarget } from "../../domain/revocation.ts";
import type { SessionState } from "../../domain/sessions/session.ts";
import { columnsOf } from "../schema/columns.ts";
import type { RevocationsTable, SessionsTable } from "../schema/tables.ts";

/** What all sessions of a statement have in common. */
interface CommonOwner {
  readonly projectId: ProjectId;
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
}

/**
 * The newest cutoff over session `s`; null without one. Three primary-key look-ups: those by a common id are made once per
 * statement, the others once per session.
 */
export function newestCutoff(common: Partial<CommonOwner> = {}): RawBuilder<number | null> {
  const { projectId, memberId, organizationId } = common;
  const project = projectId === undefined ? sql`s.project_id` : sql`${projectId}`;
  const member = memberId === undefined ? sql`s.member_id` : sql`${memberId}`;
  const organization = organizationId === undefined ? sql`s.organization_id` : sql`${organizationId}`;
  const over = (scope: CutoffTarget["scope"], target: RawBuilder<unknown>) => sql`
  (select c.revision from cutoffs c
    where c.project_id = ${project} and c.scope = ${sql.lit(scope)} and c.target_id = ${target})`;
  return sql`greatest(${over("member", member)}, ${over("organization", organization)}, ${over("project", project)})`;
}

/** The condition that row `s`, with its cutoff, is in `state` at `now`: the domain's `stateOf` in SQL. */
export function stateIs(state: SessionState, now: Date): RawBuilder<boolean> {
  const revoked = sql`(s.revoked_revision is not null or coalesce(s.cutoff > s.created_revision, false))`;
  const expired = sql`s.expire_time <= ${now}`;
  const idle = sql`coalesce(s.last_access_time + s.idle_timeout_ms * interval '1 millisecond' <= ${now}, false)`;
  switch (state) {
    case "revoked":
      return sql`${revoked}`;
    case "expired":
      return sql`not ${revoked} and ${expired}`;
    case "idle_expired":
      return sql`not ${revoked} and not ${expired} and ${idle}`;
    case "active":
      return sql`not ${revoked} and not ${expired} and not ${idle}`;
  }
}

/**
 * The columns of one session, for a lateral join. `offset 0` forces a look-up by the primary key: a plan made while there are
 * few sessions, which a prepared statement keeps for a while, would read the whole project instead.
 */
export function sessionOf(
  projectId: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  columns: readonly (keyof SessionsTable)[],
): RawBuilder<unknown> {
  return sql`(
      select ${columnsOf("s", columns)} from sessions s where s.project_id = ${projectId} and s.id = ${id} offset 0
    )`;
}

/**
 * The columns of the revocation with this revision, for a lateral join. A range with an order, and not `=`, forces a look-up by
 * the primary key: a plan made while there are few revocations would read all of the project by revocations_by_matter_until.
 */
export function revocationAt(
  projectId: RawBuilder<unknown>,
  revision: RawBuilder<unknown>,
  columns: readonly (keyof RevocationsTable)[],
): RawBuilder<unknown> {
  return sql`(
      select ${columnsOf("r", columns)} from revocations r
      where r.project_id = ${projectId} and r.revision between ${revision} and ${revision} order by r.revision limit 1
    )`;
}
