import { sql } from "kysely";
import type { BatchQuery } from "../connection/statement-runner.ts";
import type { ProjectId } from "../../domain/ids.ts";
import type { Policy } from "../../domain/policy.ts";
import type { NewServiceCredential, Project } from "../../domain/project.ts";
import type { ProjectCredentials } from "../../domain/store/project-store.ts";
import type { SecretHash } from "../../domain/token.ts";
import { claimNames } from "./certificate-names.ts";
import { columnsOf, projectColumns } from "../schema/columns.ts";
import { type CredentialJson, type ProjectRow, credentialOf, toProject } from "./project-rows.ts";
import type { Db } from "../schema/tables.ts";

/** Stores a project with its first credential, in one transaction. */
export function createProject(
  db: Db,
  project: Project,
  credential: NewServiceCredential | undefined,
): Promise<boolean> {
  return db.transaction().execute(async (transaction) => {
    const { numInsertedOrUpdatedRows } = await transaction
      .insertInto("projects")
      .values({
        id: project.id,
        tag: project.tag,
        display_name: project.displayName,
        environment: project.environment,
        policy: JSON.stringify(project.policy),
        longest_jwt_lifetime_ms: project.policy.jwtLifetime,
        create_time: project.createTime,
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 0n) return false;
    await transaction
      .insertInto("project_revisions")
      .values({ project_id: project.id, revision: 0, longest_jwt_lifetime_ms: project.policy.jwtLifetime })
      .execute();
    if (credential !== undefined) {
      await insertCredential(transaction, credential);
      await claimNames(transaction, credential);
    }
    return true;
  });
}

/**
 * Replaces the policy under the lock of the project's revocations, so that each revocation knows the longest lifetime of the
 * JWTs signed before it. The lifetime is stored twice, because the version before reads it from `projects`.
 */
export function updatePolicy(db: Db, id: ProjectId, policy: Policy): Promise<Project | undefined> {
  return db.transaction().execute(async (transaction) => {
    const longest_jwt_lifetime_ms = sql<number>`greatest(longest_jwt_lifetime_ms, ${policy.jwtLifetime})`;
    await transaction
      .updateTable("project_revisions")
      .set({ longest_jwt_lifetime_ms })
      .where("project_id", "=", id)
      .execute();
    const row = await transaction
      .updateTable("projects")
      .set({ policy: JSON.stringify(policy), longest_jwt_lifetime_ms })
      .where("id", "=", id)
      .returning(projectColumns)
      .executeTakeFirst();
    return row && toProject(row);
  });
}

/** Stores a credential with its certificate names. */
export async function createCredential(db: Db, credential: NewServiceCredential): Promise<boolean> {
  if (credential.certificateNames.length === 0) return insertCredential(db, credential);
  return db.transaction().execute(async (transaction) => {
    if (!(await insertCredential(transaction, credential))) return false;
    await claimNames(transaction, credential);
    return true;
  });
}

async function insertCredential(db: Db, credential: NewServiceCredential): Promise<boolean> {
  const { rows } = await sql`
    insert into service_credentials
      (project_id, id, display_name, secret_hash, permissions, certificate_names, create_time)
    select id, ${credential.id}::uuid, ${credential.displayName}, ${credential.secretHash}::bytea,
      ${credential.permissions}::text[], ${credential.certificateNames}::text[],
      ${credential.createTime}::timestamptz
    from projects where id = ${credential.projectId}
    returning id`.execute(db);
  return rows.length > 0;
}

/** Finds each project. By its primary key. */
export const findProjects: BatchQuery<ProjectId, Project | undefined> = async (db, ids) => {
  const { rows } = await sql<ProjectRow>`
    select ${columnsOf("p", projectColumns)} from projects p where p.id = any(${ids}::text[])`.execute(db);
  const byId = new Map(rows.map((row) => [row.id as ProjectId, toProject(row)]));
  return ids.map((id) => byId.get(id));
};

/** Finds each project with its enabled credentials. */
export const findCredentials: BatchQuery<ProjectId, ProjectCredentials | undefined> = async (
  db,
  projectIds,
) => {
  const projects = await sql<ProjectRow & { credentials: readonly SecretJson[] }>`
    select ${columnsOf("p", projectColumns)}, coalesce((
      select jsonb_agg(jsonb_build_object('id', c.id, 'display_name', c.display_name, 'permissions', c.permissions,
        'create_time', c.create_time, 'secret_hash', encode(c.secret_hash, 'hex')))
      from service_credentials c where c.project_id = p.id and c.disable_time is null), '[]') as credentials
    from projects p where p.id = any(${projectIds}::text[])`.execute(db);
  const byId = new Map(projects.rows.map((row) => [row.id as ProjectId, toProjectCredentials(row)]));
  return projectIds.map((id) => byId.get(id));
};

interface SecretJson extends CredentialJson {
  readonly secret_hash: string;
}

function toProjectCredentials(row: ProjectRow & { credentials: readonly SecretJson[] }): ProjectCredentials {
  const project = toProject(row);
  const credentials = row.credentials.map((json) => ({
    ...credentialOf(project.id, json),
    secretHash: Buffer.from(json.secret_hash, "hex") as SecretHash,
  }));
  return { project, credentials };
}
