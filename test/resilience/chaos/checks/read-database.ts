import type { Deployment } from "../processes/deployment.ts";
import type { LogRow } from "./check-log.ts";

/** The whole log of the project. */
export async function readLog({ sql, options }: Deployment): Promise<readonly LogRow[]> {
  return sql<LogRow>(
    `select revision::float8 as revision, scope, target_id, except_session_id
     from revocations where project_id = $1 order by revision`,
    options.projectId,
  );
}

/** State of each session by the tables that Authenticate reads. */
export async function readSessions({
  sql,
  options,
}: Deployment): Promise<ReadonlyMap<string, "alive" | "dead">> {
  const rows = await sql<{ id: string; dead: boolean }>(
    `select s.id, s.revoked_revision is not null or exists (
        select from cutoffs c where c.project_id = s.project_id and c.revision > s.created_revision
          and (c.scope, c.target_id) in
            (('member', s.member_id), ('organization', s.organization_id), ('project', s.project_id))
      ) as dead
     from sessions s where s.project_id = $1`,
    options.projectId,
  );
  return new Map(rows.map(({ id, dead }) => [id, dead ? "dead" : "alive"]));
}
