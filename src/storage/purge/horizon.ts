import { sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import type { Db } from "../schema/tables.ts";

/** Rows of a project from before the horizon are purged. */
export interface Horizon {
  readonly projectId: ProjectId;
  /** Sessions that expired until then. */
  readonly time: Date;
  /** Revocations up to this revision, and the sessions that they ended; 0 for none. */
  readonly revision: number;
}

/** The newest is taken of this many revocations that were relevant last, because relevance lasts differently long. */
const candidates = 1000;

/**
 * Finds the horizon of a project. A revocation that was relevant until before `time` was made before `time`, and all lower
 * revisions were committed before it. A session that one of them ended was created before `time`, by the clock of any replica,
 * because a revocation is relevant for longer than clocks may differ. By revocations_by_matter_until.
 */
export async function horizonOf(db: Db, projectId: ProjectId, time: Date): Promise<Horizon> {
  const { rows } = await sql<{ revision: number | null }>`
    select max(revision) as revision from (
      select revision from revocations
      where project_id = ${projectId} and matter_until_time <= ${time}
      order by matter_until_time desc limit ${candidates}) last`.execute(db);
  return { projectId, time, revision: rows[0]?.revision ?? 0 };
}
