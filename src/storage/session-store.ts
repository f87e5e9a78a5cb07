import type { MemberId, OrganizationId, ProjectId, SessionId } from "../domain/ids.ts";
import type { SessionTarget } from "../domain/revocation.ts";
import type { SessionLimit } from "../domain/sessions/session-limit.ts";
import type { Session } from "../domain/sessions/session.ts";
import type {
  CreationRequest,
  CreationWithinLimit,
  EarlierCreation,
  FoundByToken,
  NewSession,
  SessionOwner,
  SessionQuery,
  SessionStore,
  TokenReplacement,
} from "../domain/store/session-store.ts";
import type { SecretHash, TokenRef } from "../domain/token.ts";
import { unlimited } from "../transport/call-context.ts";
import { type BatchLimits, type Batcher, ProjectBatchers, lookups } from "./connection/batcher.ts";
import type { CommitGate } from "./connection/server-guard.ts";
import type { Runners, StatementRunner } from "./connection/statement-runner.ts";
import type { OnRevocations } from "./revocations/writes.ts";
import { type LimitedCreation, createWithinLimits } from "./revocations/limited-creation.ts";
import { type RequestedCreation, createOnce } from "./sessions/creation-requests.ts";
import { type Creation, createSessions } from "./sessions/creation.ts";
import {
  type OwnedSession,
  type SessionKey,
  findByIds,
  findByTokens,
  findOwners,
  listSessions,
} from "./sessions/reads.ts";
import { type Access, extendSession, isMemberOf, recordAccesses, replaceToken } from "./sessions/writes.ts";

/** Two at a time: one commits while the other is prepared. */
const creations: BatchLimits = { maxItems: 200, maxRunning: 2 };
/** One transaction per project at a time: others would wait for its locks on members. */
const limitedCreations: BatchLimits = { maxItems: 50, maxRunning: 1 };
/** In the background, so one at a time is enough. */
const accesses: BatchLimits = { maxItems: 1000, maxRunning: 1 };

export class PostgresSessionStore implements SessionStore {
  readonly #reads: StatementRunner;
  readonly #writes: StatementRunner;
  readonly #gate: CommitGate;
  readonly #byId: Batcher<SessionKey, Session | undefined>;
  readonly #byToken: Batcher<TokenRef, FoundByToken | undefined>;
  readonly #owners: Batcher<OwnedSession, SessionOwner | undefined>;
  readonly #creations: Batcher<Creation, Session | undefined>;
  readonly #requestedCreations: ProjectBatchers<RequestedCreation, Session | EarlierCreation | undefined>;
  readonly #limitedCreations: ProjectBatchers<LimitedCreation, CreationWithinLimit>;
  readonly #accesses: Batcher<Access, undefined>;
  readonly #onLostAccess: (error: unknown) => void;

  constructor(
    { reads, writes, accesses: accessWrites, gate }: Runners,
    onRevocations: OnRevocations,
    onLostAccess: (error: unknown) => void,
  ) {
    this.#reads = reads;
    this.#writes = writes;
    this.#gate = gate;
    this.#byId = reads.batcher("sessions by id", lookups, findByIds);
    this.#byToken = reads.batcher("sessions by token", lookups, findByTokens);
    this.#owners = reads.batcher("owners", lookups, findOwners);
    this.#creations = writes.batcher("creations", creations, createSessions);
    this.#requestedCreations = new ProjectBatchers((projectId) =>
      writes.batcher("requested creations", creations, (db, items: readonly RequestedCreation[]) =>
        createOnce(db, projectId, items),
      ),
    );
    this.#limitedCreations = new ProjectBatchers((projectId) =>
      writes.batcher<LimitedCreation, CreationWithinLimit>(
        "limited creations",
        limitedCreations,
        async (db, items) => {
          const { outcomes, head } = await createWithinLimits(db, projectId, items, gate);
          if (head !== undefined) onRevocations(projectId, head);
          return outcomes;
        },
      ),
    );
    this.#accesses = accessWrites.batcher("accesses", accesses, recordAccesses);
    this.#onLostAccess = onLostAccess;
  }

  createSession(session: NewSession, tokenHash: SecretHash, call = unlimited): Promise<Session | undefined> {
    return this.#creations.submit({ session, tokenHash }, call);
  }

  createSessionOnce(
    session: NewSession,
    tokenHash: SecretHash,
    request: CreationRequest,
    call = unlimited,
  ): Promise<Session | EarlierCreation | undefined> {
    return this.#requestedCreations.submit(session.projectId, { session, tokenHash, request }, call);
  }

  async createSessionWithin(
    session: NewSession,
    tokenHash: SecretHash,
    limit: SessionLimit,
    request?: CreationRequest,
    call = unlimited,
  ): Promise<CreationWithinLimit> {
    const creation = { session, tokenHash, limit, request };
    const outcome = await this.#limitedCreations.submit(session.projectId, creation, call);
    await this.#gate.passed();
    return outcome;
  }

  replaceToken(replacement: TokenReplacement, call = unlimited): Promise<boolean> {
    return this.#writes.run(call, (db) => replaceToken(db, replacement));
  }

  findSession(projectId: ProjectId, id: SessionId, call = unlimited): Promise<Session | undefined> {
    return this.#byId.submit({ projectId, id }, call);
  }

  findOwner(projectId: ProjectId, target: SessionTarget, call = unlimited) {
    return this.#owners.submit({ projectId, target }, call);
  }

  findSessionByToken(token: TokenRef, call = unlimited): Promise<FoundByToken | undefined> {
    return this.#byToken.submit(token, call);
  }

  listSessions(query: SessionQuery, call = unlimited): Promise<readonly Session[]> {
    return this.#reads.run(call, (db) => listSessions(db, query));
  }

  extendSession(projectId: ProjectId, id: SessionId, expireTime: Date, now: Date, call = unlimited) {
    return this.#writes.run(call, (db) => extendSession(db, { projectId, id }, expireTime, now));
  }

  recordAccess({ projectId, id }: Session, time: Date): void {
    this.#accesses.submit({ projectId, id, time }).catch(this.#onLostAccess);
  }

  isMemberOf(projectId: ProjectId, memberId: MemberId, organizationId: OrganizationId, call = unlimited) {
    return this.#reads.run(call, (db) => isMemberOf(db, projectId, memberId, organizationId));
  }
}
