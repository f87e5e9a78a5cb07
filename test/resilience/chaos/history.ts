/** Milliseconds of the system's monotonic clock, which all processes of the machine share. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Start and end of an operation, by the monotonic clock. End is Infinity if the operation may still take effect. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Creation extends Span {
  readonly kind: "creation";
  readonly session: string;
  readonly member: string;
  readonly organization: string;
  /** Claim `rev` of the session's first JWT. */
  readonly createdRevision: number;
}

/** An answer that shows the state of a session. */
export interface Observation extends Span {
  readonly kind: "observation";
  readonly session: string;
  readonly by: "token" | "jwt" | "extend" | "caller" | "revoke";
  readonly saw: "alive" | "dead" | "missing";
  /** The revision in the refusal. */
  readonly revokedBy?: number;
}

/** Target of a revocation. `target` is an id, or empty for the project. */
export interface Ending {
  readonly scope: "session" | "member" | "organization" | "project";
  readonly target: string;
  readonly except?: string;
}

/** A revocation that was acknowledged, or whose outcome is unknown. */
export interface Revocation extends Span, Ending {
  readonly kind: "revocation";
  /** Undefined if the outcome is unknown; `end` is then Infinity. */
  readonly revision?: number;
  /** False if the session was dead already. The receipt is then that of the revocation that ended it. */
  readonly effective: boolean;
}

/** The restore of a backup: from the last moment at which the old database answered to the first of the restored one. */
export interface Restore extends Span {
  readonly kind: "restore";
  /** When the backup was made. */
  readonly dump: Span;
}

/** A run of `sessiond recover`. */
export interface Recovery extends Span {
  readonly kind: "recovery";
}

/** A recorded operation. Failures that show nothing about a session are not recorded. */
export type Operation = Creation | Observation | Revocation | Restore | Recovery;

/** Whether the target includes the session, regardless of time. */
export function reaches(ending: Ending, session: Creation): boolean {
  if (ending.except === session.session) return false;
  return ending.scope === "project" || ending.target === session[ending.scope];
}
