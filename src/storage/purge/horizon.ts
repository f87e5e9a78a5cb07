import { type Kysely, sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import type { Tables } from "../schema/tables.ts";

/** Before what a project's rows are purged. */
export interface Horizon {
  readonly projectId: ProjectId;
  /** Sessions that expired until then. */
  readonly time: Date;
  /** Sessions that a revocation up to this revision has ended, and these revocations; 0 where there are none. */
  readonly revision: number;
}

/**
 * How much longer, in milliseconds, revocations are kept: by less than this do the clocks of replicas differ that dated a
 * session and its revocation. So every session that a revocation before the horizon ended is one created before `time`.
 */
const clockMargin = 3_600_000;

/** Of how many revocations, those that mattered last, the newest is taken: not all matter equally long. */
const candidates = 1000;

/**
 * The horizon of a project. A revocation matters to JWTs for longer than it takes to be made, so one that mattered until
 * before `time` was made before; and all with lower revisions were committed before it. By revocations_by_matter_until.
 */
export async function horizonOf(db: Kysely<Tables>, projectId: ProjectId, time: Date): Promise<Horizon> {
  const { rows } = await sql<{ revision: number | null }>`
    select max(revision) as revision from (
      select revision from revocations
      where project_id = ${projectId} and matter_until_time <= ${new Date(time.getTime() - clockMargin)}
      order by matter_until_time desc limit ${candidates}) last`.execute(db);
  return { projectId, time, revision: rows[0]?.revision ?? 0 };
}
