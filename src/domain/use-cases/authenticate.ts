import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import type { JwtProblem, VerifiedJwt, VerifyOptions } from "../keys/session-jwts.ts";
import type { Project } from "../project.ts";
import { type Session, accessed, isAccessDue } from "../sessions/session.ts";
import type { Dependencies } from "./dependencies.ts";
import { requireActive, resolveToken } from "./resolve-token.ts";

export type SessionCredential = { readonly token: string } | { readonly jwt: string };

/** A session, and the verified JWT that named it; undefined for a token. */
interface Found {
  readonly session: Session;
  readonly jwt: VerifiedJwt | undefined;
}

/**
 * Authenticates a credential for a service of `project`. Returns the active session, and the JWT to use from now on: a new one
 * if `issueJwt` asks for it or the given one is due for renewal, otherwise the given one; "" for a token.
 *
 * A new JWT is dated from before the session is read. However long the call takes, the JWT expires before a verifier may forget
 * a revocation that the call has not seen.
 */
export async function authenticate(
  deps: Dependencies,
  project: Project,
  credential: SessionCredential,
  issueJwt: boolean,
  call: CallContext,
): Promise<{ session: Session; jwt: string }> {
  const now = deps.now();
  const [{ session, jwt: given }, sign] = await Promise.all([
    findActive(deps, credential, { projectId: project.id, now, times: "valid" }, project, call),
    issueJwt ? deps.jwts.signer(project, call) : undefined,
  ]);
  if (sign !== undefined) return { session, jwt: await sign(session, now) };
  if (given !== undefined && (await deps.jwts.isDue(given, session, project, now, call))) {
    return { session, jwt: await deps.jwts.sign(session, project, now, call) };
  }
  return { session, jwt: "jwt" in credential ? credential.jwt : "" };
}

/**
 * Finds the active session of a credential in the database. `within` is the project it must belong to; undefined for any. Fails
 * with an UNAUTHENTICATED reason. `times` says which JWTs are accepted.
 */
export async function findActiveSession(
  deps: Dependencies,
  credential: SessionCredential,
  within: Project | undefined,
  call: CallContext,
  times: VerifyOptions["times"] = "valid",
): Promise<Session> {
  const options = { projectId: within?.id, now: deps.now(), times };
  const { session } = await findActive(deps, credential, options, within, call);
  return session;
}

async function findActive(
  deps: Dependencies,
  credential: SessionCredential,
  options: VerifyOptions,
  within: Project | undefined,
  call: CallContext,
): Promise<Found> {
  const found = await find(deps, credential, options, within, call);
  if (found === undefined || (within !== undefined && found.session.projectId !== within.id)) {
    throw new SessiondError("SESSION_UNKNOWN");
  }
  const { session, jwt } = found;
  const { now } = options;
  requireActive(session, now);
  if (isAccessDue(session, now)) deps.store.sessions.recordAccess(session, now);
  return { session: accessed(session, now), jwt };
}

async function find(
  deps: Dependencies,
  credential: SessionCredential,
  options: VerifyOptions,
  within: Project | undefined,
  call: CallContext,
): Promise<Found | undefined> {
  if ("token" in credential) {
    const found = await resolveToken(deps, credential.token, within, call);
    return found && { session: found.session, jwt: undefined };
  }
  const verdict = await deps.jwts.verify(credential.jwt, options, call);
  if ("problem" in verdict) throw unauthenticated(verdict.problem);
  const session = await deps.store.sessions.findSession(verdict.projectId, verdict.sessionId, call);
  return session && { session, jwt: verdict };
}

function unauthenticated(problem: JwtProblem): SessiondError {
  return problem === "expired"
    ? new SessiondError("JWT_EXPIRED")
    : new SessiondError("SESSION_UNKNOWN", { metadata: { problem } });
}
