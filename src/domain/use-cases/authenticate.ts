import { SessiondError } from "../errors.ts";
import type { ProjectId } from "../ids.ts";
import type { JwtProblem } from "../jwt.ts";
import type { Project } from "../project.ts";
import type { Revocation } from "../revocation.ts";
import { type Session, idleExpireTimeOf, isAccessDue, stateOf } from "../session.ts";
import { parseSessionToken } from "../token.ts";
import type { Deps } from "./deps.ts";

/** A credential of an end user, as presented. */
export type SessionCredential = { readonly token: string } | { readonly jwt: string };

/** Authenticates for a service of `project`: the active session of the credential, and a fresh JWT. */
export async function authenticate(
  deps: Deps,
  project: Project,
  credential: SessionCredential,
): Promise<{ session: Session; jwt: string }> {
  const [session, sign] = await Promise.all([
    findActiveSession(deps, credential, project.id),
    deps.jwts.signer(project),
  ]);
  return { session, jwt: await sign(session, deps.now()) };
}

/**
 * The active session of a credential, asked of the database every time. `projectId`: the project it must belong to, any
 * where undefined. Fails with the UNAUTHENTICATED reason that tells what is wrong.
 */
export async function findActiveSession(
  deps: Deps,
  credential: SessionCredential,
  projectId: ProjectId | undefined,
): Promise<Session> {
  const session = await findSession(deps, credential, projectId);
  if (session === undefined || (projectId !== undefined && session.projectId !== projectId)) {
    throw new SessiondError("SESSION_UNKNOWN");
  }
  const now = deps.now();
  requireActive(session, now);
  if (isAccessDue(session, now)) deps.store.recordAccess(session, now);
  return { ...session, lastAccessTime: now };
}

async function findSession(
  deps: Deps,
  credential: SessionCredential,
  projectId: ProjectId | undefined,
): Promise<Session | undefined> {
  if ("token" in credential) {
    const token = parseSessionToken(credential.token);
    return token && deps.store.findSessionByToken(token, "refuse");
  }
  const verdict = await deps.jwts.verify(credential.jwt, { projectId, now: deps.now(), allowExpired: false });
  if ("problem" in verdict) throw unauthenticated(verdict.problem);
  return deps.store.findSession(verdict.projectId, verdict.sessionId);
}

function unauthenticated(problem: JwtProblem): SessiondError {
  return problem === "expired"
    ? new SessiondError("JWT_EXPIRED")
    : new SessiondError("SESSION_UNKNOWN", { metadata: { problem } });
}

/** Fails with the UNAUTHENTICATED reason that tells why `session` is not active at `now`. */
function requireActive(session: Session, now: Date): void {
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
  const { scope, revision, time } = revocation;
  return new SessiondError(scope === "session" ? "SESSION_REVOKED" : "SESSION_REVOKED_BY_CUTOFF", {
    metadata: { scope, revision: String(revision), revoke_time: time.toISOString() },
  });
}
