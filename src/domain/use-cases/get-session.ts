import { type Caller, mayReach } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import type { SessionId } from "../ids.ts";
import type { Session } from "../sessions/session.ts";
import type { Deps } from "./deps.ts";

/** A session of the caller's project, dead or alive. SESSION_NOT_FOUND alike when it is unknown and when it is not theirs. */
export async function getSession(deps: Deps, caller: Caller, id: SessionId): Promise<Session> {
  const projectId = caller.project.id;
  if (caller.kind === "member") {
    const owner = await deps.store.findOwner(projectId, { scope: "session", id });
    if (owner === undefined || !mayReach(caller, owner, "sessions.read")) {
      throw new SessiondError("SESSION_NOT_FOUND");
    }
  }
  const session = await deps.store.findSession(projectId, id);
  if (session === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  return session;
}
