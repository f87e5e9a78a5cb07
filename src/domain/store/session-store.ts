import type { CallContext } from "../../transport/call-context.ts";
import type { MemberId, OrganizationId, ProjectId, RequestId, SessionId } from "../ids.ts";
import type { PageRequest } from "../page.ts";
import type { SessionTarget } from "../revocation.ts";
import type { SessionLimit } from "../sessions/session-limit.ts";
import type { Session, SessionState } from "../sessions/session.ts";
import type { SecretHash, TokenRef, TokenSalt } from "../token.ts";

/** A session to store. The store assigns its created revision. */
export type NewSession = Omit<Session, "createdRevision" | "revocation">;

/** Result of a login that counts against a limit; undefined if there is no such project or it is disabled. */
export type CreationWithinLimit = Session | EarlierCreation | "limit_reached" | undefined;

/** What a repeated call is compared with and answered from. Kept for 10 minutes. */
export interface CreationRequest {
  readonly id: RequestId;
  /** SHA-256 of the call's other fields. */
  readonly fingerprint: Buffer;
  /** The session's first token, sealed with the master key of this id. */
  readonly sealedToken: Buffer;
  readonly masterKeyId: string;
}

/** An earlier creation with the same request id, and its session. */
export interface EarlierCreation {
  readonly request: CreationRequest;
  readonly sessionId: SessionId;
}

export interface FoundByToken {
  readonly session: Session;
  /** When a newer token replaced this one, and the salt that derives it; undefined for the current token. */
  readonly replaced: { readonly time: Date; readonly salt: TokenSalt | undefined } | undefined;
}

export interface TokenReplacement {
  readonly projectId: ProjectId;
  readonly hash: SecretHash;
  readonly salt: TokenSalt;
  readonly successor: SecretHash;
  readonly time: Date;
}

export type SessionOwner = Pick<Session, "id" | "memberId" | "organizationId">;

export interface SessionQuery {
  readonly projectId: ProjectId;
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
  readonly state: SessionState | undefined;
  readonly now: Date;
  readonly page: PageRequest<SessionId>;
}

export interface SessionStore {
  /**
   * Stores a session with one token, at the project's current revision: a revoke-all that commits meanwhile ends it.
   * Undefined if there is no such project or it is disabled.
   */
  createSession(session: NewSession, tokenHash: SecretHash, call: CallContext): Promise<Session | undefined>;
  /**
   * Stores a session like createSession(), unless the project has had a creation with the same request id in the last 10 minutes
   * by the database's clock: then returns that one, once it is durable. Exact for any number of concurrent calls on any replicas.
   */
  createSessionOnce(
    session: NewSession,
    tokenHash: SecretHash,
    request: CreationRequest,
    call: CallContext,
  ): Promise<Session | EarlierCreation | undefined>;
  /**
   * Stores a session of a member who may have a limited number of active sessions, as of the session's create time. The limit
   * is exact for any number of concurrent logins on any replicas. Beyond it the login is refused and nothing is stored, or
   * the oldest sessions are revoked. With a request, a repeat counts for nothing, and returns what createSessionOnce() does.
   */
  createSessionWithin(
    session: NewSession,
    tokenHash: SecretHash,
    limit: SessionLimit,
    request: CreationRequest | undefined,
    call: CallContext,
  ): Promise<CreationWithinLimit>;
  /** Replaces a token by a newer one of the same session; false if it does not exist or was replaced before. */
  replaceToken(replacement: TokenReplacement, call: CallContext): Promise<boolean>;
  findSession(projectId: ProjectId, id: SessionId, call: CallContext): Promise<Session | undefined>;
  /** Finds a session's member. Takes equally long for active, ended and unknown sessions, so that its timing reveals nothing. */
  findOwner(
    projectId: ProjectId,
    target: SessionTarget,
    call: CallContext,
  ): Promise<SessionOwner | undefined>;
  /** Finds the session of a current or replaced token. */
  findSessionByToken(token: TokenRef, call: CallContext): Promise<FoundByToken | undefined>;
  /** Returns up to one session more than the page holds. */
  listSessions(query: SessionQuery, call: CallContext): Promise<readonly Session[]>;
  /** Extends a session that is active at `now`; undefined if it is not. An earlier end than the session's changes nothing. */
  extendSession(
    projectId: ProjectId,
    id: SessionId,
    expireTime: Date,
    now: Date,
    call: CallContext,
  ): Promise<Session | undefined>;
  /** Records an access soon, in the background. Never fails: a lost access shortens an idle timeout at worst, and never an announced one. */
  recordAccess(session: Session, now: Date): void;
  /** Whether the member has sessions, all of them in this organization. */
  isMemberOf(
    projectId: ProjectId,
    memberId: MemberId,
    organizationId: OrganizationId,
    call: CallContext,
  ): Promise<boolean>;
}
