import { SessiondError } from "../errors.ts";
import type { JwtProblem, VerifiedJwt } from "../keys/session-jwts.ts";
import type { Project } from "../project.ts";
import { type Session, isAccessDue } from "../sessions/session.ts";
import type { Deps } from "./deps.ts";
import { findPresented } from "./presented-token.ts";
import { requireActive } from "./require-active.ts";

/** A credential of an end user, as presented. */
export type SessionCredential = { readonly token: string } | { readonly jwt: string };

/** A session, and what the JWT says that named it, where one did. */
interface Found {
  readonly session: Session;
  readonly jwt: VerifiedJwt | undefined;
}

/**
 * Authenticates for a service of `project`: the active session of the credential, and the JWT to use from now on. That is a
 * fresh one where `issueJwt` asks for it or the presented one is due; else the presented one, and "" where it was a token.
 */
export async function authenticate(
  deps: Deps,
  project: Project,
  credential: SessionCredential,
  issueJwt = false,
): Promise<{ session: Session; jwt: string }> {
  const [{ session, jwt: shown }, sign] = await Promise.all([
    findActive(deps, credential, project),
    issueJwt ? deps.jwts.signer(project) : undefined,
  ]);
  const now = deps.now();
  if (sign !== undefined) return { session, jwt: await sign(session, now) };
  if (shown !== undefined && (await deps.jwts.isDue(shown, session, project, now))) {
    return { session, jwt: await deps.jwts.sign(session, project, now) };
  }
  return { session, jwt: "jwt" in credential ? credential.jwt : "" };
}

/**
 * The active session of a credential, asked of the database every time. `within`: the project it must belong to, any where
 * undefined. Fails with the UNAUTHENTICATED reason that tells what is wrong.
 */
export async function findActiveSession(
  deps: Deps,
  credential: SessionCredential,
  within: Project | undefined,
): Promise<Session> {
  const { session } = await findActive(deps, credential, within);
  return session;
}

async function findActive(
  deps: Deps,
  credential: SessionCredential,
  within: Project | undefined,
): Promise<Found> {
  const found = await find(deps, credential, within);
  if (found === undefined || (within !== undefined && found.session.projectId !== within.id)) {
    throw new SessiondError("SESSION_UNKNOWN");
  }
  const { session, jwt } = found;
  const now = deps.now();
  requireActive(session, now);
  if (isAccessDue(session, now)) deps.store.recordAccess(session, now);
  return { session: { ...session, lastAccessTime: now }, jwt };
}

async function find(
  deps: Deps,
  credential: SessionCredential,
  within: Project | undefined,
): Promise<Found | undefined> {
  if ("token" in credential) {
    const found = await findPresented(deps, credential.token, within);
    return found && { session: found.session, jwt: undefined };
  }
  const options = { projectId: within?.id, now: deps.now(), allowExpired: false };
  const verdict = await deps.jwts.verify(credential.jwt, options);
  if ("problem" in verdict) throw unauthenticated(verdict.problem, verdict.isGenuine);
  const session = await deps.store.findSession(verdict.projectId, verdict.sessionId);
  return session && { session, jwt: verdict };
}

function unauthenticated(problem: JwtProblem, isGenuine: boolean): SessiondError {
  return problem === "expired"
    ? new SessiondError("JWT_EXPIRED")
    : new SessiondError("SESSION_UNKNOWN", { metadata: { problem }, isGenuine });
}
