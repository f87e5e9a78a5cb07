import { sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import type { Db } from "../schema/tables.ts";

/**
 * Reads the next `size` requests of creations after the id `after`, and deletes those that no repeat is answered from any more. A
 * minute of margin is for a call that has found its request just before. Returns the id after which the next batch starts;
 * undefined after the last one. By the primary key of creation_requests.
 */
export async function purgeRequests(
  db: Db,
  projectId: ProjectId,
  after: string,
  size: number,
): Promise<{ readonly next: string | undefined }> {
  const isOld = sql`create_time <= now() - interval '11 minutes'`;
  const { rows } = await sql<{ visited: number; last: string | null }>`
    with page as materialized (
      select request_id, ${isOld} as old from creation_requests
      where project_id = ${projectId} and request_id > ${after} order by request_id limit ${size}
    ), gone as (
      delete from creation_requests
      where project_id = ${projectId} and request_id = any(array(select request_id from page where old)) and ${isOld}
    )
    select count(*) as visited, max(request_id) as last from page`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("the purge of requests returned no row");
  return { next: row.visited < size || row.last === null ? undefined : row.last };
}
