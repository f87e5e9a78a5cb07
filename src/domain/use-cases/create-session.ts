import type { JsonObject } from "@bufbuild/protobuf";
import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import { type MemberId, type OrganizationId, type RequestId, type SessionId, newSessionId } from "../ids.ts";
import { violationsOfJwtSize } from "../sessions/login-bounds.ts";
import { type AuthenticationFactor, type Device, type Session, stateOf } from "../sessions/session.ts";
import type { CreationRequest, EarlierCreation, NewSession } from "../store/session-store.ts";
import { type SecretHash, hashSecret, newSessionToken } from "../token.ts";
import { type ServiceCaller, actorOf } from "./caller.ts";
import { newCreationRequest, repeatCreation } from "./creation-request.ts";
import type { Dependencies } from "./dependencies.ts";

/** A successful login. Durations are in milliseconds; undefined means the policy's default. */
export interface CreateSession {
  readonly memberId: MemberId;
  readonly organizationId: OrganizationId | undefined;
  readonly device: Device;
  readonly authenticationFactors: readonly (Omit<AuthenticationFactor, "authenticateTime"> & {
    readonly authenticateTime: Date | undefined;
  })[];
  readonly roles: readonly string[];
  readonly customClaims: JsonObject;
  readonly lifetime: number | undefined;
  readonly idleTimeout: number | undefined;
  /** Makes the call safe to repeat for 10 minutes. */
  readonly requestId: RequestId | undefined;
}

/**
 * Creates a session, or finds the one of an earlier call with the same request id. Its token is returned only here.
 * FIELD_INVALID if a JWT of it would be too long, under this policy or any later one; SESSION_LIMIT_REACHED if the member has as
 * many active sessions as the policy allows, unless the policy ends the oldest.
 */
export async function createSession(
  deps: Dependencies,
  caller: ServiceCaller,
  command: CreateSession,
  call: CallContext,
): Promise<{ session: Session; token: string; jwt: string }> {
  const { project } = caller;
  const now = deps.now();
  const token = newSessionToken(project.tag);
  const draft: NewSession = {
    projectId: project.id,
    id: newSessionId(now),
    memberId: command.memberId,
    organizationId: command.organizationId,
    createTime: now,
    lastAccessTime: now,
    expireTime: new Date(now.getTime() + lifetimeOf(command.lifetime, caller)),
    idleTimeout: command.idleTimeout ?? project.policy.defaultIdleTimeout,
    device: command.device,
    authenticationFactors: command.authenticationFactors.map((factor) => ({
      ...factor,
      authenticateTime: factor.authenticateTime ?? now,
    })),
    roles: command.roles,
    customClaims: command.customClaims,
  };
  const violations = violationsOfJwtSize(draft);
  if (violations.length > 0) throw new SessiondError("FIELD_INVALID", { violations });
  const { requestId } = command;
  const request = requestId && newCreationRequest(deps, requestId, command, draft, token);
  const creation = store(deps, caller, draft, hashSecret(token), request, call);
  const [stored, sign] = await Promise.all([creation, deps.jwts.signer(project, call)]);
  if (stored === undefined) throw new SessiondError("CREDENTIAL_INVALID");
  if (!("request" in stored)) return { session: stored, token, jwt: await sign(stored, now) };
  const earlier = await repeatCreation(deps, caller, command, stored, call);
  return { ...earlier, jwt: await sign(earlier.session, deps.now()) };
}

async function store(
  deps: Dependencies,
  caller: ServiceCaller,
  session: NewSession,
  tokenHash: SecretHash,
  request: CreationRequest | undefined,
  call: CallContext,
): Promise<Session | EarlierCreation | undefined> {
  const { sessions } = deps.store;
  const { maxSessionsPerMember: max, sessionLimitAction: action } = caller.project.policy;
  if (max === undefined) {
    return request === undefined
      ? sessions.createSession(session, tokenHash, call)
      : sessions.createSessionOnce(session, tokenHash, request, call);
  }
  const limit = { max, action, actor: actorOf(caller), actingUser: caller.actingUser };
  const stored = await sessions.createSessionWithin(session, tokenHash, limit, request, call);
  if (stored !== "limit_reached") return stored;
  throw new SessiondError("SESSION_LIMIT_REACHED", { metadata: { max_sessions_per_member: String(max) } });
}

/**
 * Extends an active session until `lifetime` milliseconds from now; undefined means the policy's default. An earlier end than the
 * session's changes nothing: verifiers, which accept its JWTs, are not told of it. Revocations end sessions.
 */
export async function extendSession(
  { store: { sessions }, now: currentTime }: Dependencies,
  caller: ServiceCaller,
  id: SessionId,
  lifetime: number | undefined,
  call: CallContext,
): Promise<Session> {
  const now = currentTime();
  const expireTime = new Date(now.getTime() + lifetimeOf(lifetime, caller));
  const extended = await sessions.extendSession(caller.project.id, id, expireTime, now, call);
  if (extended !== undefined) return extended;
  const session = await sessions.findSession(caller.project.id, id, call);
  if (session === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  throw new SessiondError("SESSION_NOT_ACTIVE", { metadata: { state: stateOf(session, now) } });
}

/** The requested lifetime, or the policy's default. FIELD_INVALID if it is longer than the policy allows. */
function lifetimeOf(requested: number | undefined, { project: { policy } }: ServiceCaller): number {
  if (requested !== undefined && requested > policy.maxLifetime) {
    const description = `must not be longer than the policy's max_lifetime of ${policy.maxLifetime / 1000} seconds`;
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "lifetime", description }] });
  }
  return requested ?? Math.min(policy.defaultLifetime, policy.maxLifetime);
}
