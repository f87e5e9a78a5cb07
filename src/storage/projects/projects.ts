import { type Kysely, sql } from "kysely";
import type { CredentialId, ProjectId } from "../../domain/ids.ts";
import type { PageRequest } from "../../domain/page.ts";
import type { Policy } from "../../domain/policy.ts";
import type { NewServiceCredential, Project, ShownCredential } from "../../domain/project.ts";
import type { ProjectCredentials, ProjectStore } from "../../domain/store.ts";
import type { SecretHash } from "../../domain/sessions/token.ts";
import { claimNames } from "./certificate-names.ts";
import { columnsOf, credentialColumns, projectColumns } from "../sessions/columns.ts";
import {
  type CredentialJson,
  type ProjectRow,
  credentialOf,
  toCredential,
  toProject,
} from "./project-rows.ts";
import type { Tables } from "../schema/tables.ts";

/** The part of the store that keeps projects and credentials, but for the batched look-ups. */
export function projectStore(
  db: Kysely<Tables>,
): Omit<ProjectStore, "findProject" | "findCredentials" | "findCertified"> {
  return {
    createProject: (project, credential) => createProject(db, project, credential),
    listProjects: (page) => listProjects(db, page),
    updatePolicy: (id, policy) => updatePolicy(db, id, policy),
    disableProject: async (id, time) => {
      const row = await db
        .updateTable("projects")
        .set({ disable_time: sql`coalesce(disable_time, ${time})` })
        .where("id", "=", id)
        .returning(projectColumns)
        .executeTakeFirst();
      return row && toProject(row);
    },
    createCredential: (credential) => createCredential(db, credential),
    listCredentials: (projectId, page) => listCredentials(db, projectId, page),
    disableCredential: async (projectId, id, time) => {
      const row = await db
        .updateTable("service_credentials")
        .set({ disable_time: sql`coalesce(disable_time, ${time})` })
        .where("project_id", "=", projectId)
        .where("id", "=", id)
        .returning(credentialColumns)
        .executeTakeFirst();
      return row && toCredential(row);
    },
  };
}

function createProject(
  db: Kysely<Tables>,
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
 * Replaces the policy under the lock of the project's revocations: one that commits before knows of no longer JWTs, and one
 * that commits after does. The longest lifetime is also kept where the version before reads it.
 */
function updatePolicy(db: Kysely<Tables>, id: ProjectId, policy: Policy): Promise<Project | undefined> {
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

async function listProjects(db: Kysely<Tables>, page: PageRequest<ProjectId>): Promise<readonly Project[]> {
  const { after } = page;
  const rows = await db
    .selectFrom("projects")
    .select(projectColumns)
    .$if(after !== undefined, (query) => query.where("id", ">", after ?? ""))
    .orderBy("id")
    .limit(page.size + 1)
    .execute();
  return rows.map(toProject);
}

async function createCredential(db: Kysely<Tables>, credential: NewServiceCredential): Promise<boolean> {
  if (credential.certificateNames.length === 0) return insertCredential(db, credential);
  return db.transaction().execute(async (transaction) => {
    if (!(await insertCredential(transaction, credential))) return false;
    await claimNames(transaction, credential);
    return true;
  });
}

async function insertCredential(db: Kysely<Tables>, credential: NewServiceCredential): Promise<boolean> {
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

async function listCredentials(
  db: Kysely<Tables>,
  projectId: ProjectId,
  page: PageRequest<CredentialId>,
): Promise<readonly ShownCredential[]> {
  const { after } = page;
  const rows = await db
    .selectFrom("service_credentials")
    .select(credentialColumns)
    .where("project_id", "=", projectId)
    .$if(after !== undefined, (query) => query.where("id", "<", after ?? ""))
    .orderBy("id", "desc")
    .limit(page.size + 1)
    .execute();
  return rows.map(toCredential);
}

/** Each project, at its place. */
export async function findProjects(
  db: Kysely<Tables>,
  ids: readonly ProjectId[],
): Promise<readonly (Project | undefined)[]> {
  const { rows } = await sql<ProjectRow>`
    select ${columnsOf("p", projectColumns)} from projects p where p.id = any(${ids}::text[])`.execute(db);
  const byId = new Map(rows.map((row) => [row.id as ProjectId, toProject(row)]));
  return ids.map((id) => byId.get(id));
}

/** Each project, at its place, with its enabled credentials. */
export async function findCredentials(
  db: Kysely<Tables>,
  projectIds: readonly ProjectId[],
): Promise<readonly (ProjectCredentials | undefined)[]> {
  const projects = await sql<ProjectRow & { credentials: readonly SecretJson[] }>`
    select ${columnsOf("p", projectColumns)}, coalesce((
      select jsonb_agg(jsonb_build_object('id', c.id, 'display_name', c.display_name, 'permissions', c.permissions,
        'create_time', c.create_time, 'secret_hash', encode(c.secret_hash, 'hex')))
      from service_credentials c where c.project_id = p.id and c.disable_time is null), '[]') as credentials
    from projects p where p.id = any(${projectIds}::text[])`.execute(db);
  const byId = new Map(projects.rows.map((row) => [row.id as ProjectId, toProjectCredentials(row)]));
  return projectIds.map((id) => byId.get(id));
}

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
