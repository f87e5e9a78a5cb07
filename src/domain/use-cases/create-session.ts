import type { JsonObject } from "@bufbuild/protobuf";
import { type ServiceCaller, actorOf } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import { type MemberId, type OrganizationId, newSessionId } from "../ids.ts";
import type { AuthenticationFactor, Device, Session } from "../sessions/session.ts";
import type { NewSession } from "../store.ts";
import { type SecretHash, hashSecret, newSessionToken } from "../sessions/token.ts";
import type { Deps } from "./deps.ts";

/** A login that succeeded. Durations in milliseconds; the policy's defaults where undefined. */
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
}

/**
 * Starts a session. The token is returned here and nowhere else. SESSION_LIMIT_REACHED where the member has as many as the
 * policy allows, and it does not rather end the oldest.
 */
export async function createSession(
  deps: Deps,
  caller: ServiceCaller,
  command: CreateSession,
): Promise<{ session: Session; token: string; jwt: string }> {
  const { project } = caller;
  const now = deps.now();
  const token = newSessionToken(project.tag);
  const draft: NewSession = {
    projectId: project.id,
    id: newSessionId(),
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
  const creation = store(deps, caller, draft, hashSecret(token));
  const [session, sign] = await Promise.all([creation, deps.jwts.signer(project)]);
  if (session === undefined) throw new SessiondError("CREDENTIAL_INVALID");
  return { session, token, jwt: await sign(session, now) };
}

/** Only a project with a limit pays for counting. */
async function store(
  deps: Deps,
  caller: ServiceCaller,
  session: NewSession,
  tokenHash: SecretHash,
): Promise<Session | undefined> {
  const { maxSessionsPerMember: max, sessionLimitAction: action } = caller.project.policy;
  if (max === undefined) return deps.store.createSession(session, tokenHash);
  const limit = { max, action, actor: actorOf(caller) };
  const stored = await deps.store.createSessionWithin(session, tokenHash, limit);
  if (stored !== "limit_reached") return stored;
  throw new SessiondError("SESSION_LIMIT_REACHED", { metadata: { max_sessions_per_member: String(max) } });
}

/** The lifetime asked for, or the policy's default. Fails with FIELD_INVALID when it is longer than the policy allows. */
export function lifetimeOf(asked: number | undefined, { project: { policy } }: ServiceCaller): number {
  if (asked !== undefined && asked > policy.maxLifetime) {
    const description = `must not be longer than the policy's max_lifetime of ${policy.maxLifetime / 1000} seconds`;
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "lifetime", description }] });
  }
  return asked ?? Math.min(policy.defaultLifetime, policy.maxLifetime);
}
