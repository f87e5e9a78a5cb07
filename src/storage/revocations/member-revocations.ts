import { type RawBuilder, sql } from "kysely";
import type { MemberId, ProjectId } from "../../domain/ids.ts";
import type { CutoffTarget } from "../../domain/revocation.ts";
import { columnsOf, livenessColumns } from "../schema/columns.ts";
import { newestCutoff, revocationAt } from "../sessions/liveness-sql.ts";

/**
 * The revisions of the revocations that ended sessions of a member, each once. The member's sessions lead to them, which the log
 * never outlives: by sessions_by_member, cutoffs' primary key and revocations_by_target. The cost grows with the number of the
 * member's sessions, and not with the length of the log.
 */
export function revisionsOfMember(projectId: ProjectId, memberId: MemberId): RawBuilder<unknown> {
  const firstCutoff = (scope: CutoffTarget["scope"], target: RawBuilder<unknown>) => sql`
          (select r.revision from revocations r
            where r.project_id = ${projectId} and r.scope = ${sql.lit(scope)} and r.scope <> 'session'
              and r.target_id = ${target} and r.revision > s.created_revision
            order by r.revision limit 1)`;
  return sql`
      with s as materialized (
        select s.organization_id, ${columnsOf("s", livenessColumns)}, ${newestCutoff({ projectId, memberId })} as cutoff
        from sessions s where s.project_id = ${projectId} and s.member_id = ${memberId}
      )
      select revoked_revision as revision from s where revoked_revision is not null
      union
      select r.revision from revocations r
      where r.project_id = ${projectId} and r.scope = 'member' and r.target_id = ${memberId}
      union
      select first.revision from s
      cross join lateral (
        select least(${firstCutoff("member", sql`${memberId}`)}, ${firstCutoff("organization", sql`s.organization_id`)},
          ${firstCutoff("project", sql`${projectId}`)}) as revision
        offset 0
      ) first
      cross join lateral ${revocationAt(sql`${projectId}`, sql`first.revision`, ["revoke_time"])} r
      where s.revoked_revision is null and s.cutoff > s.created_revision
        and s.expire_time > r.revoke_time
        and coalesce(s.last_access_time + s.idle_timeout_ms * interval '1 millisecond' > r.revoke_time, true)`;
}
