import type { Project } from "../project.ts";
import { policyActor } from "../revocations/revocation.ts";
import { type Session, stateOf } from "../sessions/session.ts";
import type { FoundByToken } from "../store.ts";
import { parseSessionToken, successorOf } from "../sessions/token.ts";
import type { Deps } from "./deps.ts";

/** The session that a token names, active or not. */
export interface Presented {
  readonly session: Session;
  /** The token that has replaced the presented one; undefined where none has. */
  readonly successor: string | undefined;
}

/**
 * The session of a token that somebody calls with; undefined where it names none of `within` (of any project, where that is
 * undefined), and where it was replaced and is refused. Where the project's policy says so, presenting a replaced token beyond
 * its leeway revokes the session, and that is durable once this returns. Only a replaced token costs more than one look-up.
 */
export async function findPresented(
  deps: Deps,
  text: string,
  within: Project | undefined,
): Promise<Presented | undefined> {
  const token = parseSessionToken(text, within?.tag);
  const found = token && (await deps.store.findSessionByToken(token));
  if (found === undefined) return undefined;
  const { session, replaced } = found;
  return replaced === undefined
    ? { session, successor: undefined }
    : findReplaced(deps, text, session, replaced);
}

async function findReplaced(
  deps: Deps,
  text: string,
  session: Session,
  replaced: NonNullable<FoundByToken["replaced"]>,
): Promise<Presented | undefined> {
  const project = await deps.store.findProject(session.projectId);
  if (project === undefined || project.disableTime !== undefined) return undefined;
  const { tokenReuseAction, tokenReuseLeeway } = project.policy;
  const now = deps.now();
  const isRecent = now.getTime() - replaced.time.getTime() < tokenReuseLeeway;
  if (isRecent && replaced.salt !== undefined) {
    const successor = successorOf(text, replaced.salt);
    if (await isCurrent(deps, successor)) return { session, successor };
  }
  if (tokenReuseAction === "refuse") return undefined;
  if (stateOf(session, now) === "active") await endReused(deps, session, now);
  // Also where something else ended it meanwhile: whoever asks is told what did, now and later.
  const ended = await deps.store.findSession(session.projectId, session.id);
  if (ended === undefined || stateOf(ended, now) === "active") return undefined;
  return { session: ended, successor: undefined };
}

/** Whether the token has not been replaced itself: the one before it was the last to be. */
async function isCurrent(deps: Deps, text: string): Promise<boolean> {
  const token = parseSessionToken(text);
  const found = token && (await deps.store.findSessionByToken(token));
  return found !== undefined && found.replaced === undefined;
}

async function endReused(deps: Deps, { projectId, id }: Session, time: Date): Promise<void> {
  await deps.store.revoke({
    projectId,
    target: { scope: "session", id },
    time,
    cause: "token_reuse",
    reason: "",
    actor: policyActor,
    count: false,
  });
}
