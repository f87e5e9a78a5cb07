import type { CallContext } from "../../transport/call-context.ts";
import type { Project } from "../project.ts";
import { SessiondError } from "../errors.ts";
import { type Revocation, policyActor } from "../revocation.ts";
import { type Session, idleExpireTimeOf, stateOf } from "../sessions/session.ts";
import type { FoundByToken } from "../store/session-store.ts";
import { parseSessionToken, successorOf } from "../token.ts";
import type { Dependencies } from "./dependencies.ts";

/** The session of a token, active or not. */
export interface ResolvedToken {
  readonly session: Session;
  /** The token that replaced the given one; undefined if that is current. */
  readonly successor: string | undefined;
}

/**
 * Finds the session of a token that a caller presents. Undefined if it names no session of `within` (of any project, if that is
 * undefined), or was replaced and is refused. If the project's policy says so, presenting a replaced token beyond its leeway
 * revokes the session durably. Only a replaced token costs more than one look-up.
 */
export async function resolveToken(
  deps: Dependencies,
  text: string,
  within: Project | undefined,
  call: CallContext,
): Promise<ResolvedToken | undefined> {
  const token = parseSessionToken(text, within?.tag);
  const found = token && (await deps.store.sessions.findSessionByToken(token, call));
  if (found === undefined) return undefined;
  const { session, replaced } = found;
  return replaced === undefined
    ? { session, successor: undefined }
    : resolveReplaced(deps, text, session, replaced, call);
}

async function resolveReplaced(
  deps: Dependencies,
  text: string,
  session: Session,
  replaced: NonNullable<FoundByToken["replaced"]>,
  call: CallContext,
): Promise<ResolvedToken | undefined> {
  const { store } = deps;
  const project = await store.projects.findProject(session.projectId, call);
  if (project === undefined || project.disableTime !== undefined) return undefined;
  const { tokenReuseAction, tokenReuseLeeway } = project.policy;
  const now = deps.now();
  const isRecent = now.getTime() - replaced.time.getTime() < tokenReuseLeeway;
  if (isRecent && replaced.salt !== undefined) {
    const successor = successorOf(text, replaced.salt);
    if (await isCurrent(deps, successor, call)) return { session, successor };
  }
  if (tokenReuseAction === "refuse") return undefined;
  if (stateOf(session, now) === "active") await revokeReused(deps, session, now, call);
  // Read again also if something else ended the session meanwhile, so that the answer says what did.
  const ended = await store.sessions.findSession(session.projectId, session.id, call);
  if (ended === undefined || stateOf(ended, now) === "active") return undefined;
  return { session: ended, successor: undefined };
}

/** Whether the token has not been replaced itself. */
async function isCurrent(deps: Dependencies, text: string, call: CallContext): Promise<boolean> {
  const token = parseSessionToken(text);
  const found = token && (await deps.store.sessions.findSessionByToken(token, call));
  return found !== undefined && found.replaced === undefined;
}

async function revokeReused(deps: Dependencies, { projectId, id }: Session, time: Date, call: CallContext) {
  const target = { scope: "session", id } as const;
  const details = { cause: "token_reuse", reason: "", actor: policyActor, count: false } as const;
  await deps.store.revocations.revoke({ projectId, target, time, ...details }, call);
}

/** Fails with the UNAUTHENTICATED reason why `session` is not active at `now`. */
export function requireActive(session: Session, now: Date): void {
  const state = stateOf(session, now);
  switch (state) {
    case "active":
      return;
    case "revoked":
      throw revoked(session.revocation);
    case "expired":
      throw new SessiondError("SESSION_EXPIRED", {
        metadata: { expire_time: session.expireTime.toISOString() },
      });
    case "idle_expired":
      throw new SessiondError("SESSION_IDLE_EXPIRED", {
        metadata: { idle_expire_time: idleExpireTimeOf(session)?.toISOString() ?? "" },
      });
    default:
      state satisfies never;
  }
}

function revoked(revocation: Revocation | undefined): SessiondError {
  if (revocation === undefined) return new SessiondError("SESSION_REVOKED");
  const { scope, revision, time, cause } = revocation;
  return new SessiondError(scope === "session" ? "SESSION_REVOKED" : "SESSION_REVOKED_BY_CUTOFF", {
    metadata: { scope, revision: String(revision), revoke_time: time.toISOString(), cause },
  });
}
