import type { CallContext } from "../../transport/call-context.ts";
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
import { type Policy, type PolicyChange, changePolicy, defaultPolicy } from "../policy.ts";
import {
  type Environment,
  type Permission,
  type Project,
  type ShownCredential,
  permissions,
} from "../project.ts";
import type { Cause } from "../revocation.ts";
import { hashSecret, newProjectTag, newServiceSecret } from "../token.ts";
import { type ServiceCaller, actorOf } from "./caller.ts";
import type { ProjectDependencies } from "./dependencies.ts";

export interface CreateProject {
  readonly id: ProjectId;
  readonly displayName: string;
  readonly environment: Environment;
  readonly policy: Policy;
}

/** Creates a project; PROJECT_EXISTS if the id is taken. */
export async function createProject(
  deps: ProjectDependencies,
  command: CreateProject,
  call: CallContext,
): Promise<Project> {
  const project: Project = {
    ...command,
    tag: newProjectTag(),
    createTime: deps.now(),
    disableTime: undefined,
  };
  if (!(await deps.store.projects.createProject(project, undefined, call))) {
    throw new SessiondError("PROJECT_EXISTS");
  }
  return project;
}

/** The project that start-up creates, and the secret of its operators. */
export interface BootstrapProject {
  readonly projectId: ProjectId;
  readonly secret: string;
}

/**
 * Creates the project, with a credential of this secret and all permissions, if it does not exist. "foreign" if it exists and
 * no enabled credential has the secret. Nothing is changed then, because an operator may have disabled the credential.
 */
export async function bootstrapProject(
  deps: ProjectDependencies,
  { projectId, secret }: BootstrapProject,
  call: CallContext,
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
  if (await deps.store.projects.createProject(project, credential, call)) return "created";
  const found = await deps.store.projects.findCredentials(projectId, call);
  return found?.credentials.some((one) => one.secretHash.equals(secretHash)) ? "present" : "foreign";
}

/** Reads a project; PROJECT_NOT_FOUND. */
export async function getProject(
  { store }: Pick<ProjectDependencies, "store">,
  id: ProjectId,
  call: CallContext,
): Promise<Project> {
  return found(await store.projects.findProject(id, call));
}

export async function listProjects(
  deps: ProjectDependencies,
  pageSize: number,
  pageToken: string,
  call: CallContext,
): Promise<{ projects: readonly Project[]; nextPageToken: string }> {
  const filters = ["projects"];
  const page = parsePage(pageSize, pageToken, filters, parseProjectId);
  const rows = await deps.store.projects.listProjects(page, call);
  const cut = cutPage(rows, page, filters, (project): ProjectId => project.id);
  return { projects: cut.rows, nextPageToken: cut.nextPageToken };
}

/** Changes the display name of a project, if one is given; PROJECT_NOT_FOUND, PROJECT_NOT_ACTIVE, FIELD_INVALID. */
export async function updateProject(
  deps: ProjectDependencies,
  id: ProjectId,
  { displayName, environment }: { readonly displayName?: string; readonly environment?: Environment },
  call: CallContext,
): Promise<Project> {
  const change = (project: Project) => {
    requireEnabled(project);
    if (environment !== undefined && environment !== project.environment) {
      const description = "cannot be changed after the project was created";
      throw new SessiondError("FIELD_INVALID", {
        violations: [{ field: "project.environment", description }],
      });
    }
    return displayName === undefined ? {} : { displayName };
  };
  return found(await deps.store.projects.updateProject(id, change, call));
}

/** Changes the policy of a project; PROJECT_NOT_FOUND, PROJECT_NOT_ACTIVE, FIELD_INVALID. */
export async function updatePolicy(
  deps: ProjectDependencies,
  id: ProjectId,
  policyChange: PolicyChange,
  call: CallContext,
): Promise<Project> {
  const change = (project: Project) => {
    requireEnabled(project);
    return { policy: changePolicy(project.policy, policyChange) };
  };
  return found(await deps.store.projects.updateProject(id, change, call));
}

export interface DisableProject {
  readonly id: ProjectId;
  readonly cause: Cause;
  readonly reason: string;
}

/** Disables a project, and revokes all its sessions with the same commit. Idempotent; PROJECT_NOT_FOUND. */
export async function disableProject(
  deps: ProjectDependencies,
  caller: ServiceCaller,
  { id, cause, reason }: DisableProject,
  call: CallContext,
): Promise<Project> {
  const who = { actor: actorOf(caller), actingUser: caller.actingUser };
  const details = { ...who, time: deps.now(), cause, reason };
  return found(await deps.store.projects.disableProject(id, details, call));
}

export interface CreateCredential {
  readonly projectId: ProjectId;
  readonly displayName: string;
  readonly permissions: readonly Permission[];
  /** Names in client certificates that authenticate like the secret, each once. */
  readonly certificateNames: readonly CertificateName[];
  readonly secret?: string;
}

/** Creates a credential. Its secret is returned only here. PROJECT_NOT_FOUND, PROJECT_NOT_ACTIVE, CERTIFICATE_NAME_EXISTS. */
export async function createCredential(
  deps: ProjectDependencies,
  { secret = newServiceSecret(), ...command }: CreateCredential,
  call: CallContext,
): Promise<{ credential: ShownCredential; secret: string }> {
  const credential = { ...command, id: newCredentialId(), createTime: deps.now() };
  if (
    !(await deps.store.projects.createCredential({ ...credential, secretHash: hashSecret(secret) }, call))
  ) {
    requireEnabled(await getProject(deps, command.projectId, call));
    throw new SessiondError("PROJECT_NOT_FOUND");
  }
  return { credential: { ...credential, disableTime: undefined }, secret };
}

/** Lists a page of a project's credentials, newest first; PROJECT_NOT_FOUND. */
export async function listCredentials(
  deps: ProjectDependencies,
  projectId: ProjectId,
  pageSize: number,
  pageToken: string,
  call: CallContext,
): Promise<{ credentials: readonly ShownCredential[]; nextPageToken: string }> {
  const filters = ["credentials", projectId];
  const page = parsePage(pageSize, pageToken, filters, parseCredentialId);
  await getProject(deps, projectId, call);
  const rows = await deps.store.projects.listCredentials(projectId, page, call);
  const cut = cutPage(rows, page, filters, (credential): CredentialId => credential.id);
  return { credentials: cut.rows, nextPageToken: cut.nextPageToken };
}

/** Disables a credential; CREDENTIAL_NOT_FOUND. */
export async function disableCredential(
  deps: ProjectDependencies,
  projectId: ProjectId,
  id: CredentialId,
  call: CallContext,
): Promise<ShownCredential> {
  const credential = await deps.store.projects.disableCredential(projectId, id, deps.now(), call);
  if (credential === undefined) throw new SessiondError("CREDENTIAL_NOT_FOUND");
  return credential;
}

/** Fails with PROJECT_NOT_ACTIVE for a disabled project. */
export function requireEnabled({ disableTime }: Project): void {
  if (disableTime === undefined) return;
  throw new SessiondError("PROJECT_NOT_ACTIVE", { metadata: { disable_time: disableTime.toISOString() } });
}

function found(project: Project | undefined): Project {
  if (project === undefined) throw new SessiondError("PROJECT_NOT_FOUND");
  return project;
}
