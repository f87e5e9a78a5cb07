import type { CallContext } from "../../transport/call-context.ts";
import type { CertificateName } from "../certificate-name.ts";
import type { CredentialId, ProjectId } from "../ids.ts";
import type { PageRequest } from "../page.ts";
import type { NewServiceCredential, Project, ServiceCredential, ShownCredential } from "../project.ts";
import type { RevocationCommand } from "../revocation.ts";
import type { SecretHash } from "../token.ts";

export interface ProjectStore {
  /** Stores a project, with its first credential if one is given; false, and nothing stored, if the id is taken. */
  createProject(
    project: Project,
    credential: NewServiceCredential | undefined,
    call: CallContext,
  ): Promise<boolean>;
  /** Finds a project, disabled or not. */
  findProject(id: ProjectId, call: CallContext): Promise<Project | undefined>;
  /** Lists projects by id; up to one more than the page holds. */
  listProjects(page: PageRequest<ProjectId>, call: CallContext): Promise<readonly Project[]>;
  /**
   * Applies `change` to the project as stored, so that concurrent changes of different fields all last. Undefined if there is no
   * such project. Fails, and changes nothing, if `change` throws.
   */
  updateProject(
    id: ProjectId,
    change: (project: Project) => ProjectChange,
    call: CallContext,
  ): Promise<Project | undefined>;
  /**
   * Disables a project and revokes all its sessions with one commit, once; returns once that is durable. Undefined if there is no
   * such project.
   */
  disableProject(id: ProjectId, details: ProjectDisablement, call: CallContext): Promise<Project | undefined>;
  /**
   * Stores a credential; false if there is no such enabled project. CERTIFICATE_NAME_EXISTS, and nothing stored, if an enabled
   * credential of any project has one of its names.
   */
  createCredential(credential: NewServiceCredential, call: CallContext): Promise<boolean>;
  /** Lists credentials, newest first; up to one more than the page holds. */
  listCredentials(
    projectId: ProjectId,
    page: PageRequest<CredentialId>,
    call: CallContext,
  ): Promise<readonly ShownCredential[]>;
  /** Disables a credential, keeping the first time; undefined if the id is unknown. */
  disableCredential(
    projectId: ProjectId,
    id: CredentialId,
    time: Date,
    call: CallContext,
  ): Promise<ShownCredential | undefined>;
  /** Finds a project, disabled or not, with its enabled credentials. */
  findCredentials(projectId: ProjectId, call: CallContext): Promise<ProjectCredentials | undefined>;
  /**
   * Finds the one enabled credential that has any of a certificate's names, with its project, disabled or not; undefined if
   * none has, or several have.
   */
  findCertified(names: readonly CertificateName[], call: CallContext): Promise<CertifiedService | undefined>;
}

/** When, why and by whom a project is disabled. */
export type ProjectDisablement = Pick<
  RevocationCommand,
  "time" | "cause" | "reason" | "actor" | "actingUser"
>;

/** The fields of a project that can change; absent ones stay as they are. */
export type ProjectChange = Partial<Pick<Project, "displayName" | "policy">>;

export interface CertifiedService {
  readonly project: Project;
  readonly credential: ServiceCredential;
}

export interface ProjectCredentials {
  readonly project: Project;
  readonly credentials: readonly (ServiceCredential & { readonly secretHash: SecretHash })[];
}
