import { v7, validate } from "uuid";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Id of a project, as chosen at its creation. */
export type ProjectId = Branded<"ProjectId">;
/** Id of a session: a UUID in lower case. */
export type SessionId = Branded<"SessionId">;
/** Opaque id of a member, chosen by the login code. */
export type MemberId = Branded<"MemberId">;
export type OrganizationId = Branded<"OrganizationId">;
/** Name of the person for whom a service acts, as the service states it. */
export type ActingUser = Branded<"ActingUser">;
/** Id of a service credential: a UUID in lower case. */
export type CredentialId = Branded<"CredentialId">;
/** Random id of a revocation, or of the start of a history, which no revocation has: a UUID in lower case. */
export type RevocationId = Branded<"RevocationId">;
/** Id that a caller gives to one creation of a session, so that the call may be repeated (AIP-155). */
export type RequestId = Branded<"RequestId">;

/** Excludes the form of tokens and secrets, because ids appear in logs and URLs. */
const projectIdPattern = /^(?!ss[tk]_)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Undefined if `text` does not have the form of a project id. */
export function parseProjectId(text: string): ProjectId | undefined {
  return projectIdPattern.test(text) ? (text as ProjectId) : undefined;
}

/** Undefined if `text` is not a UUID. */
export function parseSessionId(text: string): SessionId | undefined {
  return validate(text) ? (text.toLowerCase() as SessionId) : undefined;
}

export function parseCredentialId(text: string): CredentialId | undefined {
  return validate(text) ? (text.toLowerCase() as CredentialId) : undefined;
}

const requestIdPattern = /^[!-~]{1,128}$/;

/** Undefined if `text` does not have 1 to 128 visible ASCII characters. */
export function parseRequestId(text: string): RequestId | undefined {
  return requestIdPattern.test(text) ? (text as RequestId) : undefined;
}

/** Longest id of a member or organization, and longest name of an acting user, in Unicode code points. */
export const maxOpaqueIdLength = 255;

/** Undefined if `text` is empty, too long or not {@link isStorable}. */
export function parseMemberId(text: string): MemberId | undefined {
  return isOpaqueId(text) ? (text as MemberId) : undefined;
}

/** Undefined as for {@link parseMemberId}. */
export function parseOrganizationId(text: string): OrganizationId | undefined {
  return isOpaqueId(text) ? (text as OrganizationId) : undefined;
}

function isOpaqueId(text: string): boolean {
  return text !== "" && isStorable(text) && characters(text) <= maxOpaqueIdLength;
}

/** Undefined as for {@link parseMemberId}, and if `text` has control characters. */
export function parseActingUser(text: string): ActingUser | undefined {
  return isOpaqueId(text) && !/\p{Cc}/u.test(text) ? (text as ActingUser) : undefined;
}

/** Whether Postgres can store `text`: no NUL and no lone surrogate. */
export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** Length of `text` in Unicode code points, which is what the API's bounds count. */
export function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}

/**
 * A UUIDv7 of `time`, so that ids sort by the time of creation. The time is the caller's and not the machine's, because it is
 * compared with the times of other machines. Within a millisecond the ids of a process are ordered by a finer clock (RFC 9562,
 * section 6.2, method 3).
 */
export function newSessionId(time = new Date()): SessionId {
  const ticks = Math.floor(performance.now() * ticksPerMs) % 2 ** 32;
  return v7({ msecs: time.getTime(), seq: ticks }) as SessionId;
}

/** 61 nanoseconds each. Making an id takes longer. */
const ticksPerMs = 16_384;

export function newCredentialId(): CredentialId {
  return v7() as CredentialId;
}
