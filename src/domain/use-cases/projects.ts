import type { CertificateName } from "../certificate-name.ts";
import { SessiondError } from "../errors.ts";
import {
  type CredentialId,
  type ProjectId,
  newCredentialId,
  parseCredentialId,
  parseProjectId,
} from "../ids.ts";
import { cutPage, parsePage } from "../page.ts";
import { type Policy, defaultPolicy } from "../policy.ts";
import {
  type Environment,
  type Permission,
  type Project,
  type ShownCredential,
  permissions,
} from "../project.ts";
import type { ProjectStore } from "../store.ts";
import { hashSecret, newProjectTag, newServiceSecret } from "../sessions/token.ts";

/** What the use cases of operators work with. */
export interface ProjectDeps {
  readonly store: ProjectStore;
  readonly now: () => Date;
}

/** A project to create. */
export interface CreateProject {
  readonly id: ProjectId;
  readonly displayName: string;
  readonly environment: Environment;
  readonly policy: Policy;
}

/** Creates a project; PROJECT_EXISTS when the id is taken. */
export async function createProject(deps: ProjectDeps, command: CreateProject): Promise<Project> {
  const project: Project = {
    ...command,
    tag: newProjectTag(),
    createTime: deps.now(),
    disableTime: undefined,
  };
  if (!(await deps.store.createProject(project))) throw new SessiondError("PROJECT_EXISTS");
  return project;
}

/** A project to have at start-up, and the secret its operators know. */
export interface BootstrapProject {
  readonly projectId: ProjectId;
  readonly secret: string;
}

/**
 * Creates the project with a credential of this secret and all permissions, if there is no such project. "foreign": there is
 * one, and the secret is none of its credentials'; then nothing is changed, as somebody may have disabled it on purpose.
 */
export async function bootstrapProject(
  deps: Pick<ProjectDeps, "store" | "now">,
  { projectId, secret }: BootstrapProject,
): Promise<"created" | "present" | "foreign"> {
  const createTime = deps.now();
  const project: Project = {
    id: projectId,
    tag: newProjectTag(),
    displayName: projectId,
    environment: projectId.startsWith("project-live-") ? "live" : "test",
    policy: defaultPolicy,
    createTime,
    disableTime: undefined,
  };
  const secretHash = hashSecret(secret);
  const credential = {
    projectId,
    id: newCredentialId(),
    displayName: "bootstrap",
    permissions,
    certificateNames: [],
    secretHash,
    createTime,
  };
  if (await deps.store.createProject(project, credential)) return "created";
  const found = await deps.store.findCredentials(projectId);
  return found?.credentials.some((one) => one.secretHash.equals(secretHash)) ? "present" : "foreign";
}

/** A project; PROJECT_NOT_FOUND. */
export async function getProject(deps: ProjectDeps, id: ProjectId): Promise<Project> {
  return found(await deps.store.findProject(id));
}

/** A page of projects by id. */
export async function listProjects(
  deps: ProjectDeps,
  pageSize: number,
  pageToken: string,
): Promise<{ projects: readonly Project[]; nextPageToken: string }> {
  const filters = ["projects"];
  const page = parsePage(pageSize, pageToken, filters, parseProjectId);
  const rows = await deps.store.listProjects(page);
  const cut = cutPage(rows, page, filters, (project): ProjectId => project.id);
  return { projects: cut.rows, nextPageToken: cut.nextPageToken };
}

/** Replaces the policy of a project; PROJECT_NOT_FOUND. */
export async function updatePolicy(deps: ProjectDeps, id: ProjectId, policy: Policy): Promise<Project> {
  return found(await deps.store.updatePolicy(id, policy));
}

/** Disables a project; PROJECT_NOT_FOUND. */
export async function disableProject(deps: ProjectDeps, id: ProjectId): Promise<Project> {
  return found(await deps.store.disableProject(id, deps.now()));
}

/** A credential to create. */
export interface CreateCredential {
  readonly projectId: ProjectId;
  readonly displayName: string;
  readonly permissions: readonly Permission[];
  /** Names in client certificates that are to be as good as the secret, each once. */
  readonly certificateNames: readonly CertificateName[];
  /** The secret, where it is given from outside; a random one otherwise. */
  readonly secret?: string;
}

/** Creates a credential; the secret is returned here and nowhere else. PROJECT_NOT_FOUND, CERTIFICATE_NAME_EXISTS. */
export async function createCredential(
  deps: Pick<ProjectDeps, "store" | "now">,
  { secret = newServiceSecret(), ...command }: CreateCredential,
): Promise<{ credential: ShownCredential; secret: string }> {
  const credential = { ...command, id: newCredentialId(), createTime: deps.now() };
  if (!(await deps.store.createCredential({ ...credential, secretHash: hashSecret(secret) }))) {
    throw new SessiondError("PROJECT_NOT_FOUND");
  }
  return { credential: { ...credential, disableTime: undefined }, secret };
}

/** A page of a project's credentials, newest first; PROJECT_NOT_FOUND. */
export async function listCredentials(
  deps: ProjectDeps,
  projectId: ProjectId,
  pageSize: number,
  pageToken: string,
): Promise<{ credentials: readonly ShownCredential[]; nextPageToken: string }> {
  const filters = ["credentials", projectId];
  const page = parsePage(pageSize, pageToken, filters, parseCredentialId);
  found(await deps.store.findProject(projectId));
  const rows = await deps.store.listCredentials(projectId, page);
  const cut = cutPage(rows, page, filters, (credential): CredentialId => credential.id);
  return { credentials: cut.rows, nextPageToken: cut.nextPageToken };
}

/** Disables a credential; CREDENTIAL_NOT_FOUND. */
export async function disableCredential(
  deps: ProjectDeps,
  projectId: ProjectId,
  id: CredentialId,
): Promise<ShownCredential> {
  const credential = await deps.store.disableCredential(projectId, id, deps.now());
  if (credential === undefined) throw new SessiondError("CREDENTIAL_NOT_FOUND");
  return credential;
}

function found(project: Project | undefined): Project {
  if (project === undefined) throw new SessiondError("PROJECT_NOT_FOUND");
  return project;
}
