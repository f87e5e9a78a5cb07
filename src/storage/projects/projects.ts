import { type Selectable, sql } from "kysely";
import type { CredentialId, ProjectId } from "../../domain/ids.ts";
import { type Policy, defaultPolicy } from "../../domain/policy.ts";
import type {
  NewServiceCredential,
  Project,
  ServiceCredential,
  ShownCredential,
} from "../../domain/project.ts";
import type { ProjectCredentials } from "../../domain/store/project-store.ts";
import type { ProjectTag, SecretHash } from "../../domain/token.ts";
import type { BatchQuery } from "../connection/statement-runner.ts";
import { columnsOf, type credentialColumns, projectColumns } from "../schema/columns.ts";
import type { Db, ProjectsTable, ServiceCredentialsTable } from "../schema/tables.ts";

/**
 * Stores a credential without its certificate names; false if there is no such enabled project. It waits for an update of the
 * project, so that no credential is stored after the project was disabled.
 */
export async function insertCredential(db: Db, credential: NewServiceCredential): Promise<boolean> {
  const { rows } = await sql`
    insert into service_credentials
      (project_id, id, display_name, secret_hash, permissions, certificate_names, create_time)
    select id, ${credential.id}::uuid, ${credential.displayName}, ${credential.secretHash}::bytea,
      ${credential.permissions}::text[], ${credential.certificateNames}::text[],
      ${credential.createTime}::timestamptz
    from projects where id = ${credential.projectId} and disable_time is null for share
    returning id`.execute(db);
  return rows.length > 0;
}

/** Stores a policy in a transaction that has locked the project's row. */
export async function setPolicy(transaction: Db, id: ProjectId, policy: Policy): Promise<void> {
  const longest_jwt_lifetime_ms = sql<number>`greatest(longest_jwt_lifetime_ms, ${policy.jwtLifetime})`;
  await transaction
    .updateTable("project_revisions")
    .set({ longest_jwt_lifetime_ms })
    .where("project_id", "=", id)
    .execute();
  await transaction
    .updateTable("projects")
    .set({ policy: JSON.stringify(policy) })
    .where("id", "=", id)
    .execute();
}

/** Finds each project. By its primary key. */
export const findProjects: BatchQuery<ProjectId, Project | undefined> = async (db, ids) => {
  const { rows } = await sql<ProjectRow>`
    select ${columnsOf("p", projectColumns)} from projects p where p.id = any(${ids}::text[])`.execute(db);
  const byId = new Map(rows.map((row) => [row.id as ProjectId, toProject(row)]));
  return ids.map((id) => byId.get(id));
};

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

export type ProjectRow = Pick<Selectable<ProjectsTable>, (typeof projectColumns)[number]>;
export type CredentialRow = Pick<Selectable<ServiceCredentialsTable>, (typeof credentialColumns)[number]>;

/** An enabled credential, as part of a look-up by its project or certificate. */
export interface CredentialJson extends Pick<CredentialRow, "id" | "display_name" | "permissions"> {
  readonly create_time: string;
}

export function credentialOf(projectId: ProjectId, json: CredentialJson): ServiceCredential {
  return {
    projectId,
    id: json.id as CredentialId,
    displayName: json.display_name,
    permissions: json.permissions,
    createTime: new Date(json.create_time),
    disableTime: undefined,
  };
}

export function toProject(row: ProjectRow): Project {
  return {
    id: row.id as ProjectId,
    tag: row.tag as ProjectTag,
    displayName: row.display_name,
    environment: row.environment,
    policy: { ...defaultPolicy, ...row.policy },
    createTime: row.create_time,
    disableTime: row.disable_time ?? undefined,
  };
}

export function toCredential(row: CredentialRow): ShownCredential {
  return {
    projectId: row.project_id as ProjectId,
    id: row.id as CredentialId,
    displayName: row.display_name,
    permissions: row.permissions,
    certificateNames: row.certificate_names,
    createTime: row.create_time,
    disableTime: row.disable_time ?? undefined,
  };
}
