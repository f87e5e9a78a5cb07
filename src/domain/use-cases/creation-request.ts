import { createHash } from "node:crypto";
import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import type { ProjectId, RequestId, SessionId } from "../ids.ts";
import { open, seal } from "../keys/sealing.ts";
import { type Session, accessed, isAccessDue, stateOf } from "../sessions/session.ts";
import type { CreationRequest, EarlierCreation } from "../store/session-store.ts";
import { parseSessionToken } from "../token.ts";
import type { ServiceCaller } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";

/**
 * Prepares a creation that may be repeated with the same command.
 *
 * A repeat returns the first token, sealed at rest. Rejected: a new token per repeat, because a first answer that arrives late
 * would hold a replaced token, whose use may end the session. A token derived from the request id, which is no secret. A token
 * derived from the master key and a stored salt, which keeps as much at rest as the sealed token.
 */
export function newCreationRequest(
  { masterKeys: { current } }: Dependencies,
  id: RequestId,
  command: object,
  session: { readonly projectId: ProjectId; readonly id: SessionId },
  token: string,
): CreationRequest {
  const sealedToken = seal(current, Buffer.from(token), sealingContext(session.projectId, session.id));
  return { id, fingerprint: fingerprintOf(command), sealedToken, masterKeyId: current.id };
}

/**
 * Finds the session and the token of an earlier creation, for a call that repeats it. FIELD_INVALID if `command` differs,
 * SESSION_NOT_ACTIVE if its session has ended, TOKEN_REPLACED if its token was rotated.
 */
export async function repeatCreation(
  deps: Dependencies,
  { project }: ServiceCaller,
  command: object,
  { request, sessionId }: EarlierCreation,
  call: CallContext,
): Promise<{ session: Session; token: string }> {
  if (!request.fingerprint.equals(fingerprintOf(command))) {
    const description = "was used for a request with other fields; use a new one for each login";
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "request_id", description }] });
  }
  const token = openToken(deps, request, project.id, sessionId);
  const ref = parseSessionToken(token, project.tag);
  // Not resolveToken(): a repeated creation is no reuse of the token.
  const found = ref && (await deps.store.sessions.findSessionByToken(ref, call));
  if (found === undefined) throw new SessiondError("TOKEN_REPLACED"); // so often that it is forgotten
  const now = deps.now();
  const state = stateOf(found.session, now);
  if (state !== "active") throw new SessiondError("SESSION_NOT_ACTIVE", { metadata: { state } });
  if (found.replaced !== undefined) throw new SessiondError("TOKEN_REPLACED");
  if (isAccessDue(found.session, now)) deps.store.sessions.recordAccess(found.session, now);
  return { session: accessed(found.session, now), token };
}

function openToken(
  { masterKeys: { current, accepted } }: Dependencies,
  { sealedToken, masterKeyId }: CreationRequest,
  projectId: ProjectId,
  sessionId: SessionId,
): string {
  const masterKey = [current, ...accepted].find(({ id }) => id === masterKeyId);
  if (masterKey !== undefined) {
    return open(masterKey, sealedToken, sealingContext(projectId, sessionId)).toString();
  }
  throw new Error(
    `the token of session ${sessionId} is sealed with master key ${masterKeyId}, which is not configured: keep a former key ` +
      "in SESSIOND_MASTER_KEYS_ACCEPTED for 10 minutes after the last replica has used it",
  );
}

/** Not the context of a signing key, which has no space. */
function sealingContext(projectId: ProjectId, sessionId: SessionId): string {
  return `first token of ${projectId}/${sessionId}`;
}

function fingerprintOf(fields: object): Buffer {
  return createHash("sha256").update(canonicalJson(fields)).digest();
}

/**
 * Writes JSON with sorted keys, because clients write a message's maps in any order. Omits undefined members, so that a field that
 * a newer release adds does not change the fingerprint of a call without it.
 */
function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null || value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
