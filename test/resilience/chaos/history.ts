/** When an operation was under way, in milliseconds of one monotonic clock. Infinity: it may take effect at any later time. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A session as its creation was acknowledged. */
export interface Creation extends Span {
  readonly kind: "creation";
  readonly session: string;
  readonly member: string;
  readonly organization: string;
  /** The project's revision that the session counts as created at: the claim `rev` of its first JWT. */
  readonly createdRevision: number;
}

/** Somebody asked whether a session is alive. */
export interface Look extends Span {
  readonly kind: "look";
  readonly session: string;
  readonly by: "token" | "jwt" | "extend" | "caller" | "revoke";
  readonly saw: "alive" | "dead" | "missing";
  /** The revision that the refusal named. */
  readonly blamed?: number;
}

/** Whose sessions end; the target is an id, empty for the project. */
export interface Ending {
  readonly scope: "session" | "member" | "organization" | "project";
  readonly target: string;
  /** The session that was to be spared. */
  readonly except?: string;
}

/** A revocation, acknowledged with its revision or with an outcome that nobody knows. */
export interface Revocation extends Span, Ending {
  readonly kind: "revocation";
  /** Undefined: unknown whether it took effect; `end` is Infinity then. */
  readonly revision?: number;
  /** False: the session was dead already, and the receipt is that of the revocation that ended it. */
  readonly effective: boolean;
}

/** What the load did and was told. An operation that failed without telling anything about a session is not part of it. */
export type Operation = Creation | Look | Revocation;

/** Whether `ending` reaches the session, by what they are, not by when. */
export function reaches(ending: Ending, session: Creation): boolean {
  if (ending.except === session.session) return false;
  switch (ending.scope) {
    case "session":
      return ending.target === session.session;
    case "member":
      return ending.target === session.member;
    case "organization":
      return ending.target === session.organization;
    case "project":
      return true;
  }
}
