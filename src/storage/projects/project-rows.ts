import type { Selectable } from "kysely";
import type { CredentialId, ProjectId } from "../../domain/ids.ts";
import { defaultPolicy } from "../../domain/policy.ts";
import type { Project, ServiceCredential, ShownCredential } from "../../domain/project.ts";
import type { ProjectTag } from "../../domain/token.ts";
import type { credentialColumns, projectColumns } from "../schema/columns.ts";
import type { ProjectsTable, ServiceCredentialsTable } from "../schema/tables.ts";

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
