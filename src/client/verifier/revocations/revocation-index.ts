import { type Cutoff, Cutoffs } from "./cutoffs.ts";
import type { VerifierRevocation, VerifierScope } from "./revocation.ts";
import { SessionTable } from "./session-table.ts";
import { SparedSessions, type Sparing } from "./spared-sessions.ts";

/** The session that a JWT names. */
export interface Subject {
  readonly sessionId: string;
  readonly memberId: string;
  readonly organizationId: string | undefined;
  /** The session's created revision when the JWT was signed. */
  readonly revision: number;
}

/** The revocation of a session or signing key. */
export interface FoundRevocation {
  readonly revision: number;
  readonly scope: VerifierScope;
}

/** Number of calls of forget() that visit every revoked session once. */
const forgetCycle = 32;

/** Every revocation that can still matter. Decides about JWTs without the server. Has no clock and no stream. */
export class RevocationIndex {
  readonly #sessions = new SessionTable();
  readonly #members = new Cutoffs();
  readonly #organizations = new Cutoffs();
  readonly #spared = new SparedSessions();
  /** Never forgotten: a leaked key can sign JWTs of any lifetime. */
  readonly #keys = new Map<string, number>();
  #project: Cutoff | undefined;
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

  get sizes(): { readonly sessions: number; readonly cutoffs: number; readonly sessionBytes: number } {
    return {
      sessions: this.#sessions.size,
      cutoffs: this.#members.size + this.#organizations.size + (this.#project === undefined ? 0 : 1),
      sessionBytes: this.#sessions.bytes,
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
    const revision = this.#sessions.find(subject.sessionId);
    return revision === undefined ? this.#findCutoff(subject) : { revision, scope: "session" };
  }

  /** Returns the revocation of a signing key, if it is revoked. */
  findKeyRevocation(kid: string): FoundRevocation | undefined {
    const revision = this.#keys.get(kid);
    return revision === undefined ? undefined : { revision, scope: "signing_key" };
  }

  /** Drops what mattered only before `limit`, in milliseconds since 1970. Each call visits a part of the revoked sessions. */
  forget(limit: number): void {
    this.#sessions.forget(limit, Math.ceil(256 / forgetCycle));
    this.#members.forget(limit);
    this.#organizations.forget(limit);
    if (this.#project !== undefined && this.#project.matterUntil < limit) this.#project = undefined;
    this.#spared.forget(limit);
    this.#forgottenUntil = Math.max(this.#forgottenUntil, limit);
  }

  #cutOff(scope: "member" | "organization" | "project", revocation: VerifierRevocation): void {
    const { targetId, revision, matterUntil, exceptSessionId } = revocation;
    const previous = this.#cutoffOf(scope, targetId);
    const before = previous?.revision ?? 0;
    const until = Math.max(matterUntil, previous?.matterUntil ?? 0);
    if (exceptSessionId !== undefined) {
      this.#spared.add(exceptSessionId, { scope, targetId, last: revision, before, matterUntil: until });
    }
    if (scope === "project") this.#project = { revision, matterUntil: until };
    else (scope === "member" ? this.#members : this.#organizations).set(targetId, { revision, matterUntil });
  }

  #cutoffOf(scope: "member" | "organization" | "project", id: string): Cutoff | undefined {
    switch (scope) {
      case "member":
        return this.#members.get(id);
      case "organization":
        return this.#organizations.get(id);
      case "project":
        return this.#project;
    }
  }

  #findCutoff(subject: Subject): FoundRevocation | undefined {
    const { memberId, organizationId, revision } = subject;
    const member = this.#members.get(memberId);
    const organization = organizationId === undefined ? undefined : this.#organizations.get(organizationId);
    const newest = Math.max(member?.revision ?? 0, organization?.revision ?? 0, this.#project?.revision ?? 0);
    if (newest <= revision) return undefined;
    const cutoffs = [
      foundBy("member", member),
      foundBy("organization", organization),
      foundBy("project", this.#project),
    ].flat();
    const sparings = this.#spared.of(subject.sessionId).filter((sparing) => applies(sparing, subject));
    return firstToHit(revision, cutoffs, sparings);
  }
}

function foundBy(scope: VerifierScope, cutoff: Cutoff | undefined): readonly FoundRevocation[] {
  return cutoff === undefined ? [] : [{ scope, revision: cutoff.revision }];
}

function applies({ scope, targetId }: Sparing, { memberId, organizationId }: Subject): boolean {
  switch (scope) {
    case "member":
      return targetId === memberId;
    case "organization":
      return targetId === organizationId;
    default:
      return scope === "project";
  }
}

/**
 * Returns the first cutoff that revoked a session created at revision `created`. A sparing counts only if the session was not
 * revoked before; then the session counts as created at that revision. An overwritten cutoff is not needed: the later one
 * revokes the session too, unless it spared the session, and then the sparing holds the earlier one.
 */
function firstToHit(
  created: number,
  newest: readonly FoundRevocation[],
  sparings: readonly Sparing[],
): FoundRevocation | undefined {
  const overwritten = sparings.map(({ scope, before }) => ({ scope, revision: before }));
  const cutoffs = [...newest, ...overwritten].toSorted((a, b) => a.revision - b.revision);
  let counted = created;
  for (const { last } of sparings) {
    const hit = cutoffs.find(({ revision }) => revision > counted && revision < last);
    if (hit !== undefined) return hit;
    counted = Math.max(counted, last);
  }
  return cutoffs.find(({ revision }) => revision > counted);
}
