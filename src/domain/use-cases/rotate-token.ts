import type { ServiceCaller } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import { type Session, isAccessDue } from "../sessions/session.ts";
import { hashSecret, newTokenSalt, successorOf } from "../sessions/token.ts";
import type { Deps } from "./deps.ts";
import { findPresented } from "./presented-token.ts";
import { requireActive } from "./require-active.ts";

/**
 * Replaces a session token. Of those that race the first does, and the others are told the same new token, as is everybody who
 * presents the old one within the policy's leeway. Fails as authentication does. `jwt` is "" unless `issueJwt` asked for it.
 */
export async function rotateToken(
  deps: Deps,
  caller: ServiceCaller,
  token: string,
  issueJwt: boolean,
): Promise<{ session: Session; token: string; jwt: string }> {
  const rotated = (await tryToRotate(deps, caller, token)) ?? (await tryToRotate(deps, caller, token));
  if (rotated === undefined) throw new Error("a token was neither replaced nor found to have been");
  const { session } = rotated;
  const now = deps.now();
  return { ...rotated, jwt: issueJwt ? await deps.jwts.sign(session, caller.project, now) : "" };
}

/** Undefined when somebody else replaced it between the look-up and the write: the next look-up shows it. */
async function tryToRotate(
  deps: Deps,
  { project }: ServiceCaller,
  token: string,
): Promise<{ session: Session; token: string } | undefined> {
  const found = await findPresented(deps, token, project);
  if (found === undefined) throw new SessiondError("SESSION_UNKNOWN");
  const now = deps.now();
  requireActive(found.session, now);
  if (isAccessDue(found.session, now)) deps.store.recordAccess(found.session, now);
  const session = { ...found.session, lastAccessTime: now };
  if (found.successor !== undefined) return { session, token: found.successor };
  const salt = newTokenSalt();
  const successor = successorOf(token, salt);
  const replaced = await deps.store.replaceToken({
    projectId: project.id,
    hash: hashSecret(token),
    salt,
    successor: hashSecret(successor),
    time: now,
  });
  return replaced ? { session, token: successor } : undefined;
}
