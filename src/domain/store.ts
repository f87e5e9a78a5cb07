import type { CertificateName } from "./certificate-name.ts";
import type { CredentialId, MemberId, OrganizationId, ProjectId, SessionId } from "./ids.ts";
import type { PageRequest } from "./page.ts";
import type { Policy } from "./policy.ts";
import type { NewServiceCredential, Project, ServiceCredential, ShownCredential } from "./project.ts";
import type { RevocationLog } from "./revocation-feed.ts";
import type { CutoffTarget, RevocationOrder, RevocationReceipt, SessionTarget } from "./revocation.ts";
import type { Session, SessionState } from "./session.ts";
import type { SigningKeyStore } from "./signing-key.ts";
import type { SecretHash, TokenRef } from "./token.ts";

/** A session to store. Its created revision is given by the store. */
export type NewSession = Omit<Session, "createdRevision" | "revocation">;

/** A session, and who has it. */
export type SessionOwner = Pick<Session, "id" | "memberId" | "organizationId">;

/** A list of sessions, newest first. */
export interface SessionQuery {
  readonly projectId: ProjectId;
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
  readonly state: SessionState | undefined;
  readonly now: Date;
  readonly page: PageRequest<SessionId>;
}

/**
 * Everything the use cases ask of a database. Promise 1 rests on one rule: a call is only ever answered by a statement that
 * started after the call arrived. Every method fails with DATABASE_UNAVAILABLE while the database does not answer.
 */
export interface SessionStore {
  /**
   * Stores a session with one token, at the project's current revision: a revoke-all that commits meanwhile ends it.
   * Undefined when there is no such project or it is disabled.
   */
  createSession(session: NewSession, tokenHash: SecretHash): Promise<Session | undefined>;
  /** A session by id. */
  findSession(projectId: ProjectId, id: SessionId): Promise<Session | undefined>;
  /**
   * Whose a session is. Takes the same whether there is none, or it is alive or dead: for who may not know that.
   */
  findOwner(projectId: ProjectId, target: SessionTarget): Promise<SessionOwner | undefined>;
  /** The session of a token. One that was replaced by a newer token names it only where `replaced` is "accept". */
  findSessionByToken(token: TokenRef, replaced: "accept" | "refuse"): Promise<Session | undefined>;
  /** One more session than the page holds, where there is one. */
  listSessions(query: SessionQuery): Promise<readonly Session[]>;
  /** Moves the end of a session that is active at `now`; undefined when it is not. */
  extendSession(
    projectId: ProjectId,
    id: SessionId,
    expireTime: Date,
    now: Date,
  ): Promise<Session | undefined>;
  /** Notes an access, some time soon. Never fails and is never waited for: losing one shortens an idle timeout at worst. */
  recordAccess(session: Session, now: Date): void;
  /** Records a revocation; undefined when it targets a session or signing key that is not there. Returned once it is durable. */
  revoke(order: RevocationOrder): Promise<RevocationReceipt | undefined>;
  /** How many sessions within the target are active at `now`, `except` not counted. */
  countActive(projectId: ProjectId, target: CutoffTarget, now: Date): Promise<number>;
  /** Whether the member has sessions, and all of them in this organization. */
  isMemberOf(projectId: ProjectId, memberId: MemberId, organizationId: OrganizationId): Promise<boolean>;
}

/** Projects and the credentials of services. */
export interface ProjectStore {
  /** Stores a project, with its first credential where one is given; false, and nothing stored, when the id is taken. */
  createProject(project: Project, credential?: NewServiceCredential): Promise<boolean>;
  /** A project, disabled or not. */
  findProject(id: ProjectId): Promise<Project | undefined>;
  /** By id; one more than the page holds, where there is one. */
  listProjects(page: PageRequest<ProjectId>): Promise<readonly Project[]>;
  /** Replaces the policy; undefined when there is no such project. */
  updatePolicy(id: ProjectId, policy: Policy): Promise<Project | undefined>;
  /** Disables a project, keeping the first time; undefined when there is no such project. */
  disableProject(id: ProjectId, time: Date): Promise<Project | undefined>;
  /**
   * Stores a credential; false when there is no such project. CERTIFICATE_NAME_EXISTS, and nothing is stored, when an enabled
   * credential of whatever project has one of its names.
   */
  createCredential(credential: NewServiceCredential): Promise<boolean>;
  /** Newest first; one more than the page holds, where there is one. */
  listCredentials(projectId: ProjectId, page: PageRequest<CredentialId>): Promise<readonly ShownCredential[]>;
  /** Disables a credential, keeping the first time; undefined when there is none of that id. */
  disableCredential(projectId: ProjectId, id: CredentialId, time: Date): Promise<ShownCredential | undefined>;
  /** The project, disabled or not, with its enabled credentials; undefined when there is no such project. */
  findCredentials(projectId: ProjectId): Promise<ProjectCredentials | undefined>;
  /**
   * The enabled credential that has some of a certificate's names, with its project, disabled or not; undefined where none has,
   * or several have.
   */
  findCertified(names: readonly CertificateName[]): Promise<CertifiedService | undefined>;
}

/** Whom a certificate names. */
export interface CertifiedService {
  readonly project: Project;
  readonly credential: ServiceCredential;
}

/** A project with its enabled credentials and the hashes of their secrets. */
export interface ProjectCredentials {
  readonly project: Project;
  readonly credentials: readonly (ServiceCredential & { readonly secretHash: SecretHash })[];
}

/** The whole port. */
export interface Store extends SessionStore, ProjectStore, SigningKeyStore, RevocationLog {
  /** Resolves when the database answers. */
  ping(): Promise<void>;
}
