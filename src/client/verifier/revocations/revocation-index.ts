import type { SessionClaims } from "../jwt/jwt-check.ts";
import { type CutoffScope, Cutoffs } from "./cutoffs.ts";
import type { VerifierRevocation, VerifierScope } from "./revocation.ts";
import { SessionTable } from "./session-table.ts";
import { SparedSessions, type Sparing } from "./spared-sessions.ts";

/** The session that a JWT names. */
export type Subject = Pick<SessionClaims, "sessionId" | "memberId" | "organizationId" | "revision">;

/** A cutoff that may have revoked a session. */
export interface PossibleCutoff {
  readonly scope: CutoffScope;
  /** 0 if there is no cutoff. */
  readonly revision: number;
  /** In milliseconds since 1970. */
  readonly revokedAt: number;
}

/** The revocation of a session or signing key. */
export interface FoundRevocation {
  readonly revision: number;
  readonly scope: VerifierScope;
}

/** Id under which the cutoff of the project is kept: there is only one project. */
const theProject = "";

const noCutoff = { revision: 0, revokedAt: 0 } as const;

/** Number of the session table's 256 parts that a call of forget() visits. */
const shardsPerForget = 8;

/** Every revocation that can still matter. Decides about JWTs without the server. Has no clock and no stream. */
export class RevocationIndex {
  readonly #sessions = new SessionTable();
  readonly #cutoffs = { member: new Cutoffs(), organization: new Cutoffs(), project: new Cutoffs() };
  readonly #spared = new SparedSessions();
  /** Never forgotten: a leaked key can sign JWTs of any lifetime. */
  readonly #keys = new Map<string, number>();
  #revision = 0;
  #forgottenUntil = 0;

  /** The index holds every revocation up to this revision that can still matter. */
  get revision(): number {
    return this.#revision;
  }

  /** JWTs that expired before must be rejected: their revocation may be forgotten. Milliseconds since 1970. */
  get forgottenUntil(): number {
    return this.#forgottenUntil;
  }

  get sizes(): { readonly sessions: number; readonly sessionBytes: number; readonly cutoffs: number } {
    const { member, organization, project } = this.#cutoffs;
    return {
      sessions: this.#sessions.size,
      sessionBytes: this.#sessions.bytes,
      cutoffs: member.size + organization.size + project.size,
    };
  }

  /** Adds the next revocation. Ignores revocations up to the current revision. */
  apply(revocation: VerifierRevocation): void {
    if (revocation.revision <= this.#revision) return;
    const { scope, targetId, revision, matterUntil } = revocation;
    switch (scope) {
      case "session":
        this.#sessions.add(targetId, revision, matterUntil);
        break;
      case "signing_key":
        this.#keys.set(targetId, revision);
        break;
      default:
        this.#cutOff(scope, revocation);
    }
    this.#revision = revision;
  }

  /** Records that no revocation up to `revision` is missing. */
  advanceTo(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** Returns the revocation of a session, if it is revoked. */
  findRevocation(subject: Subject): FoundRevocation | undefined {
    const revision = this.findSession(subject.sessionId);
    return revision === undefined ? this.#findCutoff(subject) : { revision, scope: "session" };
  }

  /** Returns the revision at which this very session was revoked, not by a cutoff. */
  findSession(sessionId: string): number | undefined {
    return this.#sessions.find(sessionId);
  }

  /** Returns the revocation of a signing key, if it is revoked. */
  findKeyRevocation(kid: string): FoundRevocation | undefined {
    const revision = this.#keys.get(kid);
    return revision === undefined ? undefined : { revision, scope: "signing_key" };
  }

  /** Drops what mattered only before `limit`, in milliseconds since 1970. Each call visits a part of the revoked sessions. */
  forget(limit: number): void {
    this.#sessions.forget(limit, shardsPerForget);
    for (const cutoffs of Object.values(this.#cutoffs)) cutoffs.forget(limit);
    this.#spared.forget(limit);
    this.#forgottenUntil = Math.max(this.#forgottenUntil, limit);
  }

  /**
   * Adds what an index of an earlier history holds, for look-ups by time. Exemptions are dropped, because they are ordered by
   * revisions, which say nothing across histories: exempted sessions count as revoked.
   */
  absorb(earlier: RevocationIndex): void {
    this.#sessions.addAll(earlier.#sessions);
    for (const [kid, revision] of earlier.#keys) if (!this.#keys.has(kid)) this.#keys.set(kid, revision);
    for (const scope of ["member", "organization", "project"] as const) {
      const cutoffs = this.#cutoffs[scope];
      for (const [id, cutoff] of earlier.#cutoffs[scope].entries()) {
        cutoffs.set(id, { ...cutoff, revision: cutoffs.get(id)?.revision ?? cutoff.revision });
      }
    }
    this.#spared.clear();
    this.#forgottenUntil = Math.max(this.#forgottenUntil, earlier.#forgottenUntil);
  }

  #cutOff(scope: CutoffScope, revocation: VerifierRevocation): void {
    const { targetId, revision, exceptSessionId } = revocation;
    const cutoffs = this.#cutoffs[scope];
    const id = scope === "project" ? theProject : targetId;
    const { revision: before, revokedAt: beforeRevokedAt } = cutoffs.get(id) ?? noCutoff;
    const { matterUntil } = cutoffs.set(id, revocation);
    if (exceptSessionId === undefined) return;
    this.#spared.add(exceptSessionId, {
      scope,
      targetId,
      last: revision,
      before,
      beforeRevokedAt,
      matterUntil,
    });
  }

  /** Returns the newest cutoffs of a session's member, organization and project, and the cutoffs of these that exempt it. */
  cutoffsOf(subject: Subject): { newest: readonly PossibleCutoff[]; sparings: readonly Sparing[] } {
    const { memberId, organizationId, sessionId } = subject;
    const { member, organization, project } = this.#cutoffs;
    const newest = [
      { scope: "member", ...(member.get(memberId) ?? noCutoff) },
      { scope: "organization", ...(organization.get(organizationId ?? "") ?? noCutoff) },
      { scope: "project", ...(project.get(theProject) ?? noCutoff) },
    ] as const;
    return { newest, sparings: this.#spared.of(sessionId).filter((sparing) => applies(sparing, subject)) };
  }

  #findCutoff(subject: Subject): FoundRevocation | undefined {
    const { memberId, organizationId, revision } = subject;
    const { member: members, organization: organizations, project: projects } = this.#cutoffs;
    const member = members.get(memberId)?.revision ?? 0;
    const organization =
      organizationId === undefined ? 0 : (organizations.get(organizationId)?.revision ?? 0);
    const project = projects.get(theProject)?.revision ?? 0;
    // Without an allocation in the usual case.
    if (Math.max(member, organization, project) <= revision) return undefined;
    const { newest, sparings } = this.cutoffsOf(subject);
    return firstToHit(revision, newest, sparings);
  }
}

function found({ scope, revision }: PossibleCutoff): FoundRevocation {
  return { scope, revision };
}

function applies({ scope, targetId }: Sparing, { memberId, organizationId }: Subject): boolean {
  return { member: memberId, organization: organizationId, project: targetId }[scope] === targetId;
}

/**
 * Returns the first cutoff that revoked a session created at revision `created`. A sparing counts only if the session was not
 * revoked before; then the session counts as created at that revision. An overwritten cutoff is not needed: the later one
 * revokes the session too, unless it spared the session, and then the sparing holds the earlier one.
 */
function firstToHit(
  created: number,
  newest: readonly PossibleCutoff[],
  sparings: readonly Sparing[],
): FoundRevocation | undefined {
  const overwritten = sparings.map(({ scope, before }) => ({ scope, revision: before }));
  const cutoffs = [...newest.map(found), ...overwritten].toSorted((a, b) => a.revision - b.revision);
  let counted = created;
  for (const { last } of sparings) {
    const hit = cutoffs.find(({ revision }) => revision > counted && revision < last);
    if (hit !== undefined) return hit;
    counted = Math.max(counted, last);
  }
  return cutoffs.find(({ revision }) => revision > counted);
}
