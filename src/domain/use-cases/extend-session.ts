import type { ServiceCaller } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import type { SessionId } from "../ids.ts";
import { type Session, stateOf } from "../sessions/session.ts";
import { lifetimeOf } from "./create-session.ts";
import type { Deps } from "./deps.ts";

/** Moves the end of an active session to `lifetime` milliseconds from now; the policy's default where undefined. */
export async function extendSession(
  deps: Deps,
  caller: ServiceCaller,
  id: SessionId,
  lifetime: number | undefined,
): Promise<Session> {
  const now = deps.now();
  const expireTime = new Date(now.getTime() + lifetimeOf(lifetime, caller));
  const extended = await deps.store.extendSession(caller.project.id, id, expireTime, now);
  if (extended !== undefined) return extended;
  const session = await deps.store.findSession(caller.project.id, id);
  if (session === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  throw new SessiondError("SESSION_NOT_ACTIVE", { metadata: { state: stateOf(session, now) } });
}
