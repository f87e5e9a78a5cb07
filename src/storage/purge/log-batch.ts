import { sql } from "kysely";
import type { Db } from "../schema/tables.ts";
import type { Horizon } from "./horizon.ts";

export interface LogBatch {
  readonly revocations: number;
  readonly cutoffs: number;
  /** The next batch starts after this revision; undefined after the last one. */
  readonly next: number | undefined;
}

/**
 * Deletes the oldest revocations after `after`, up to `size` and the horizon, in order, so that the rest of the log stays
 * complete from its first row on. Stops before a revocation that is still relevant to a JWT at `now`, which a wrong clock may
 * have dated. Keeps the newest one that it could delete, so that the position before the first one that is kept for its own
 * sake can be compared. With `dryRun` it only counts.
 *
 * No session may be left that a revocation before the horizon ended. A member's newest cutoff is deleted with its revocation if
 * the member has no session from before; cutoffs of organizations and projects are few, and stay. Only a login that is in flight
 * for longer than retention could miss one. By the primary keys of revocations and cutoffs, and sessions_by_member.
 */
export async function purgeLog(
  db: Db,
  { projectId, revision: horizon }: Horizon,
  after: number,
  size: number,
  now: Date,
  dryRun: boolean,
): Promise<LogBatch> {
  const gone = dryRun
    ? sql`select revision, scope, target_id from doomed`
    : sql`delete from revocations r
        where r.project_id = ${projectId} and r.revision = any(array(select revision from doomed))
        returning r.revision, r.scope, r.target_id`;
  const targets = (source: string) => sql`any(array(select target_id from ${sql.raw(source)}))`;
  const deletion = sql`
      delete from cutoffs c
      where c.project_id = ${projectId} and c.scope = 'member' and c.target_id = ${targets("needless")}
      returning c.revision`;
  // In a dry run the sessions still exist that a purge would have deleted before. Without `offset 0` it would be a join.
  const unneeded = sql`
        and not exists (select from sessions s
          where s.project_id = ${projectId} and s.member_id = c.target_id and s.created_revision < c.revision
          offset 0)
      for update of c skip locked`;
  const { rows } = await sql<{ visited: number; revocations: number; cutoffs: number; last: number | null }>`
    with page as materialized (
      select revision, scope, target_id, matter_until_time from revocations
      where project_id = ${projectId} and revision > ${after} and revision <= ${horizon}
      order by revision limit ${size + 1}
    ), due as materialized (
      select revision, scope, target_id from page
      where revision < coalesce((select min(revision) from page where matter_until_time > ${now}), ${horizon}::bigint + 1)
    ), doomed as materialized (
      select revision, scope, target_id from due where revision < (select max(revision) from due)
    ), gone as (${gone}
    ), needless as materialized (
      select c.target_id, c.revision from cutoffs c
      where c.project_id = ${projectId} and c.scope = 'member'
        and c.target_id = any(array(select target_id from gone where scope = 'member'))
        and c.revision = any(array(select revision from gone where scope = 'member'))
        ${dryRun ? sql`` : unneeded}
    ), lifted as (${dryRun ? sql`select revision from needless` : deletion}
    )
    select (select count(*) from page) as visited, (select count(*) from gone) as revocations,
      (select count(*) from lifted) as cutoffs, (select max(revision) from doomed) as last`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("the purge of the log returned no row");
  const { visited, revocations, cutoffs, last } = row;
  const isLast = visited <= size || revocations < visited - 1 || last === null;
  return { revocations, cutoffs, next: isLast ? undefined : last };
}
