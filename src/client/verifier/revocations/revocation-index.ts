import { type Cutoff, Cutoffs } from "./cutoffs.ts";
import type { Revocation, Scope } from "./revocation.ts";
import { SessionTable } from "./session-table.ts";
import { SparedSessions, type Sparing } from "./spared-sessions.ts";

/** Whose JWT it is. */
export interface Subject {
  readonly sessionId: string;
  readonly memberId: string;
  readonly organizationId: string | undefined;
  /** The session's created revision when the JWT was signed. */
  readonly revision: number;
}

/** What ended a session, or refuses a key. */
export interface Ending {
  readonly revision: number;
  readonly scope: Scope;
}

/** How many calls of `forget` look at every revoked session once. */
const forgetCycle = 32;

/** Every revocation that can still matter, for asking what a JWT is worth without asking the server. Pure: no clock, no stream. */
export class RevocationIndex {
  readonly #sessions = new SessionTable();
  readonly #members = new Cutoffs();
  readonly #organizations = new Cutoffs();
  readonly #spared = new SparedSessions();
  /** Never forgotten: whoever holds a leaked key signs JWTs that live as long as they like. */
  readonly #keys = new Map<string, number>();
  #project: Cutoff | undefined;
  #revision = 0;
  #forgottenUntil = 0;

  /** Everything up to this revision is held, if it can still matter. */
  get revision(): number {
    return this.#revision;
  }

  /** JWTs that expired before are not to be judged here any more: what killed them may be forgotten. Milliseconds since 1970. */
  get forgottenUntil(): number {
    return this.#forgottenUntil;
  }

  /** How much is held. */
  get sizes(): { readonly sessions: number; readonly cutoffs: number; readonly sessionBytes: number } {
    return {
      sessions: this.#sessions.size,
      cutoffs: this.#members.size + this.#organizations.size + (this.#project === undefined ? 0 : 1),
      sessionBytes: this.#sessions.bytes,
    };
  }

  /** Adds the next revocation; one that is held already changes nothing. */
  apply(revocation: Revocation): void {
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

  /** Nothing up to `revision` is missing. */
  reach(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** What ended the session, if anything did. */
  endingOf(subject: Subject): Ending | undefined {
    const revision = this.#sessions.find(subject.sessionId);
    return revision === undefined ? this.#cutoffEnding(subject) : { revision, scope: "session" };
  }

  /** What refuses everything signed with the key, if anything does. */
  endingOfKey(kid: string): Ending | undefined {
    const revision = this.#keys.get(kid);
    return revision === undefined ? undefined : { revision, scope: "signing_key" };
  }

  /** Drops what mattered only before `limit`, in milliseconds since 1970; of revoked sessions, a part with every call. */
  forget(limit: number): void {
    this.#sessions.forget(limit, Math.ceil(256 / forgetCycle));
    this.#members.forget(limit);
    this.#organizations.forget(limit);
    if (this.#project !== undefined && this.#project.matterUntil < limit) this.#project = undefined;
    this.#spared.forget(limit);
    this.#forgottenUntil = Math.max(this.#forgottenUntil, limit);
  }

  #cutOff(scope: "member" | "organization" | "project", revocation: Revocation): void {
    const { targetId, revision, matterUntil, exceptSessionId } = revocation;
    const before = this.#cutoffOf(scope, targetId)?.revision ?? 0;
    const until = Math.max(matterUntil, this.#cutoffOf(scope, targetId)?.matterUntil ?? 0);
    if (exceptSessionId !== undefined) {
      const sparing = { scope, targetId, last: revision, before, matterUntil: until };
      this.#spared.add(exceptSessionId, sparing);
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

  #cutoffEnding(subject: Subject): Ending | undefined {
    const { memberId, organizationId, revision } = subject;
    const member = this.#members.get(memberId);
    const organization = organizationId === undefined ? undefined : this.#organizations.get(organizationId);
    const newest = Math.max(member?.revision ?? 0, organization?.revision ?? 0, this.#project?.revision ?? 0);
    if (newest <= revision) return undefined;
    const cutoffs = [endingBy("member", member), endingBy("organization", organization)];
    cutoffs.push(endingBy("project", this.#project));
    const sparings = this.#spared.of(subject.sessionId).filter((sparing) => reaches(sparing, subject));
    return firstToHit(revision, cutoffs.flat(), sparings);
  }
}

function endingBy(scope: Scope, cutoff: Cutoff | undefined): readonly Ending[] {
  return cutoff === undefined ? [] : [{ scope, revision: cutoff.revision }];
}

function reaches({ scope, targetId }: Sparing, { memberId, organizationId }: Subject): boolean {
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
 * The first cutoff that hit a session created at `created`. Each sparing counts only if the session was alive until then, and
 * makes it count as created at that revision. Of an overwritten cutoff nothing is needed: the one that overwrote it kills too,
 * unless it spared the session, and then the sparing remembers the one before.
 */
function firstToHit(
  created: number,
  newest: readonly Ending[],
  sparings: readonly Sparing[],
): Ending | undefined {
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
