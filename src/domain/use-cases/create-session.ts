import type { JsonObject } from "@bufbuild/protobuf";
import type { ServiceCaller } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import { type MemberId, type OrganizationId, newSessionId } from "../ids.ts";
import type { AuthenticationFactor, Device, Session } from "../session.ts";
import { hashSecret, newSessionToken } from "../token.ts";
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

/** Starts a session. The token is returned here and nowhere else. */
export async function createSession(
  deps: Deps,
  caller: ServiceCaller,
  command: CreateSession,
): Promise<{ session: Session; token: string; jwt: string }> {
  const { project } = caller;
  const now = deps.now();
  const token = newSessionToken(project.tag);
  const creation = deps.store.createSession(
    {
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
    },
    hashSecret(token),
  );
  const [session, sign] = await Promise.all([creation, deps.jwts.signer(project)]);
  if (session === undefined) throw new SessiondError("CREDENTIAL_INVALID");
  return { session, token, jwt: await sign(session, now) };
}

/** The lifetime asked for, or the policy's default. Fails with FIELD_INVALID when it is longer than the policy allows. */
export function lifetimeOf(asked: number | undefined, { project: { policy } }: ServiceCaller): number {
  if (asked !== undefined && asked > policy.maxLifetime) {
    const description = `must not be longer than the policy's max_lifetime of ${policy.maxLifetime / 1000} seconds`;
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "lifetime", description }] });
  }
  return asked ?? Math.min(policy.defaultLifetime, policy.maxLifetime);
}
