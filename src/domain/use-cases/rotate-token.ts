import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import { type Session, accessed, isAccessDue } from "../sessions/session.ts";
import { hashSecret, newTokenSalt, successorOf } from "../token.ts";
import type { ServiceCaller } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";
import { requireActive, resolveToken } from "./resolve-token.ts";

/**
 * Replaces a session token. Concurrent rotations, and later ones within the policy's leeway, return the same new token. Fails as
 * authentication does. `jwt` is "" unless `issueJwt` asks for one.
 */
export async function rotateToken(
  deps: Dependencies,
  caller: ServiceCaller,
  token: string,
  issueJwt: boolean,
  call: CallContext,
): Promise<{ session: Session; token: string; jwt: string }> {
  const rotated =
    (await tryToRotate(deps, caller, token, call)) ?? (await tryToRotate(deps, caller, token, call));
  if (rotated === undefined) {
    throw new Error("token rotation: the session has neither this token nor a successor of it");
  }
  const { session } = rotated;
  const now = deps.now();
  return { ...rotated, jwt: issueJwt ? await deps.jwts.sign(session, caller.project, now, call) : "" };
}

/** Undefined if another call replaced the token between the look-up and the write; the next look-up finds its successor. */
async function tryToRotate(deps: Dependencies, { project }: ServiceCaller, token: string, call: CallContext) {
  const { sessions } = deps.store;
  const found = await resolveToken(deps, token, project, call);
  if (found === undefined) throw new SessiondError("SESSION_UNKNOWN");
  const now = deps.now();
  requireActive(found.session, now);
  if (isAccessDue(found.session, now)) sessions.recordAccess(found.session, now);
  const session = accessed(found.session, now);
  if (found.successor !== undefined) return { session, token: found.successor };
  const salt = newTokenSalt();
  const successor = successorOf(token, salt);
  const [hash, successorHash] = [hashSecret(token), hashSecret(successor)];
  const replacement = { projectId: project.id, hash, salt, successor: successorHash, time: now };
  return (await sessions.replaceToken(replacement, call)) ? { session, token: successor } : undefined;
}
