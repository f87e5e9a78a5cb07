import type { ProjectId } from "../../domain/ids.ts";
import type { Project } from "../../domain/project.ts";
import type { ProjectDisablement } from "../../domain/store/project-store.ts";
import type { CommitGate } from "../connection/server-guard.ts";
import { type RecordedBatch, recordWithin } from "../revocations/writes.ts";
import { projectColumns } from "../schema/columns.ts";
import type { Db } from "../schema/tables.ts";
import { toProject } from "./projects.ts";

/**
 * Disables a project and records a revocation of all its sessions, in one transaction. If the project is disabled, only writes its
 * row again: the commit waits until the earlier one is durable. Locks the project's row before its revocations, as a change of
 * the policy does. Undefined if there is no such project.
 */
export function disableProject(
  db: Db,
  id: ProjectId,
  details: ProjectDisablement,
  gate: CommitGate,
): Promise<(Pick<RecordedBatch, "head"> & { readonly project: Project }) | undefined> {
  return db.transaction().execute(async (transaction) => {
    const stored = await transaction
      .selectFrom("projects")
      .select(projectColumns)
      .where("id", "=", id)
      .forNoKeyUpdate()
      .executeTakeFirst();
    if (stored === undefined) return undefined;
    const project = toProject(stored);
    const { disableTime = details.time } = project;
    await transaction
      .updateTable("projects")
      .set({ disable_time: disableTime })
      .where("id", "=", id)
      .execute();
    const disabled = { ...project, disableTime };
    if (project.disableTime !== undefined) return { project: disabled, head: undefined };
    const command = { ...details, projectId: id, target: { scope: "project" }, count: false } as const;
    const { head } = await recordWithin(transaction, { projectId: id, commands: [command], gate });
    return { project: disabled, head };
  });
}
