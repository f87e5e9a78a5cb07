import type { CertificateName } from "./certificate-name.ts";
import type { CredentialId, MemberId, OrganizationId, ProjectId, SessionId } from "./ids.ts";
import type { PageRequest } from "./page.ts";
import type { Policy } from "./policy.ts";
import type { NewServiceCredential, Project, ServiceCredential, ShownCredential } from "./project.ts";
import type { RecordedRevocation, RevocationLog } from "./revocations/revocation-log.ts";
import type {
  CutoffTarget,
  RevocationOrder,
  RevocationReceipt,
  Scope,
  SessionTarget,
} from "./revocations/revocation.ts";
import type { SessionLimit } from "./sessions/session-limit.ts";
import type { Session, SessionState } from "./sessions/session.ts";
import type { SigningKeyStore } from "./keys/signing-key.ts";
import type { SecretHash, TokenRef, TokenSalt } from "./sessions/token.ts";

/** A session to store. Its created revision is given by the store. */
export type NewSession = Omit<Session, "createdRevision" | "revocation">;

/** What came of a login that counts against a limit; undefined as for one that does not. */
export type CreationWithinLimit = Session | "limit_reached" | undefined;

/** What a session token names. */
export interface FoundByToken {
  readonly session: Session;
  /** Since when a newer token is the one that authenticates, and what that one is derived with, where it is; undefined: none is. */
  readonly replaced: { readonly time: Date; readonly salt: TokenSalt | undefined } | undefined;
}

/** A session token to replace, and the one that takes its place. */
export interface TokenReplacement {
  readonly projectId: ProjectId;
  readonly hash: SecretHash;
  readonly salt: TokenSalt;
  readonly successor: SecretHash;
  readonly time: Date;
}
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
  /** Aborts when nobody waits for the list any more. */
  readonly signal?: AbortSignal | undefined;
}

/** A list of revocations, newest first; every given filter must hold. */
export interface RevocationQuery {
  readonly projectId: ProjectId;
  /** Made then or later. */
  readonly startTime: Date | undefined;
  /** Made before. */
  readonly endTime: Date | undefined;
  readonly actor: string | undefined;
  readonly scope: Scope | undefined;
  /** Only with the scope; a UUID where that is "session". */
  readonly targetId: string | undefined;
  /** After a revision. */
  readonly page: PageRequest<string>;
}

/** A page of revocations; perhaps a short one, as only so many are looked through. */
export interface RevocationPage {
  readonly revocations: readonly RecordedRevocation[];
  /** The revision after which the next page starts; undefined where there is none. */
  readonly next: number | undefined;
}

/**
 * Everything the use cases ask of a database. Promise 1 rests on one rule: a call is only ever answered by a statement that
 * started after the call arrived. Every method fails with DATABASE_UNAVAILABLE while the database does not answer; those that
 * serve one call also with OVERLOADED where too many wait, and with DEADLINE_EXCEEDED: both, but for what the database was
 * already committing, before anything is done.
 */
export interface SessionStore {
  /**
   * Stores a session with one token, at the project's current revision: a revoke-all that commits meanwhile ends it.
   * Undefined when there is no such project or it is disabled.
   */
  createSession(session: NewSession, tokenHash: SecretHash): Promise<Session | undefined>;
  /**
   * The same for a member who may have so many active sessions, as of the session's create time; exact however many log in at
   * once, wherever. Where one more is too many, "limit_reached" and nothing stored, or the oldest are revoked with it.
   */
  createSessionWithin(
    session: NewSession,
    tokenHash: SecretHash,
    limit: SessionLimit,
  ): Promise<CreationWithinLimit>;
  /** Replaces a token by a newer one of the same session; false when it is not there or was replaced already. */
  replaceToken(replacement: TokenReplacement): Promise<boolean>;
  /** A session by id. */
  findSession(projectId: ProjectId, id: SessionId): Promise<Session | undefined>;
  /**
   * Whose a session is. Takes the same whether there is none, or it is alive or dead: for who may not know that.
   */
  findOwner(projectId: ProjectId, target: SessionTarget): Promise<SessionOwner | undefined>;
  /** The session of a token, which may have been replaced by a newer one. */
  findSessionByToken(token: TokenRef): Promise<FoundByToken | undefined>;
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
  /** How many sessions within the target are active at `now`, `except` not counted, unless `signal` aborts before. */
  countActive(projectId: ProjectId, target: CutoffTarget, now: Date, signal?: AbortSignal): Promise<number>;
  /** What the log retains of a project's revocations. */
  listRevocations(query: RevocationQuery): Promise<RevocationPage>;
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
