import { type RawBuilder, sql } from "kysely";
import type { MemberId, ProjectId } from "../../domain/ids.ts";
import type { CutoffTarget } from "../../domain/revocation.ts";

/**
 * The revisions of the revocations that ended sessions of a member, each once. The member's sessions lead to them, and are kept
 * as long as the log: a session that was not revoked by name was ended by the first cutoff over it after its creation. By
 * sessions_by_member and revocations_by_target. The cost grows with the numbers of the member's sessions and of the cutoffs over
 * them, and not with the length of the log.
 */
export function revisionsOfMember(projectId: ProjectId, memberId: MemberId): RawBuilder<unknown> {
  const cutoffs = (scope: CutoffTarget["scope"], target: RawBuilder<unknown>) => sql`
          select r.revision from revocations r
          where r.project_id = ${projectId} and r.scope = ${sql.lit(scope)} and r.target_id = ${target}
            and r.revision > o.since`;
  return sql`
      with s as materialized (
        select coalesce(organization_id, '') as organization_id, created_revision, revoked_revision from sessions
        where project_id = ${projectId} and member_id = ${memberId}
      ), cuts as materialized (
        select o.organization_id, array_agg(r.revision order by r.revision) as revisions from (
          select organization_id, min(created_revision) as since from s where revoked_revision is null
          group by organization_id
        ) o
        cross join lateral (${cutoffs("member", sql`${memberId}`)}
          union all ${cutoffs("organization", sql`o.organization_id`)}
          union all ${cutoffs("project", sql`${projectId}`)}) r
        group by o.organization_id
      )
      select revoked_revision as revision from s where revoked_revision is not null
      union
      select r.revision from revocations r
      where r.project_id = ${projectId} and r.scope = 'member' and r.target_id = ${memberId}
      union
      select cuts.revisions[first.place] from s
      join cuts on cuts.organization_id = s.organization_id
      cross join lateral (select width_bucket(s.created_revision, cuts.revisions) + 1 as place) first
      where s.revoked_revision is null and cuts.revisions[first.place] is not null`;
}
