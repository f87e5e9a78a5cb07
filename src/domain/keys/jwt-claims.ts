import type { JWTPayload } from "jose";
import { type ReadonlyMembers, isObject } from "./compact-jws.ts";
import { type ProjectId, type SessionId, parseSessionId } from "../ids.ts";
import type { JwtProfile } from "../policy.ts";
import type { Session } from "../sessions/session.ts";

const stytchSession = "https://stytch.com/session";
const stytchOrganization = "https://stytch.com/organization";

/** The claim names this service writes itself; custom claims must not use them. */
export const reservedClaims: ReadonlySet<string> = new Set([
  "iss",
  "sub",
  "aud",
  "exp",
  "nbf",
  "iat",
  "jti",
  "sid",
  "organization_id",
  "roles",
  "rev",
  stytchSession,
  stytchOrganization,
]);

/** The issuer of a project's JWTs in a profile; `deployment` is this deployment's own. */
export function issuerOf(profile: JwtProfile, deployment: string, projectId: ProjectId): string {
  return profile === "stytch" ? `stytch.com/${projectId}` : `${deployment}/${projectId}`;
}

/** What a JWT of a profile says of the session, beside the registered claims. */
export function claimsOf(session: Session, profile: JwtProfile): JWTPayload {
  const custom = Object.fromEntries(
    Object.entries(session.customClaims).filter(([name]) => !reservedClaims.has(name)),
  );
  switch (profile) {
    case "default":
      return {
        ...custom,
        sid: session.id,
        ...(session.organizationId !== undefined && { organization_id: session.organizationId }),
        roles: session.roles,
        rev: session.createdRevision,
      };
    case "stytch":
      return { ...custom, ...stytchClaims(session) };
  }
}

/** What a JWT says of a session, as far as it is heeded. Times in seconds since 1970. */
export interface JwtSession {
  readonly sessionId: SessionId;
  /** The session's created revision when the JWT was signed. */
  readonly revision: number | undefined;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** Reads the claims of a profile; undefined where one that is required is missing, or one has the wrong form. */
export function readClaims(payload: ReadonlyMembers, profile: JwtProfile): JwtSession | undefined {
  const { sub, iat, nbf = iat, exp } = payload;
  const numbers = typeof iat === "number" && typeof nbf === "number" && typeof exp === "number";
  if (typeof sub !== "string" || !numbers) return undefined;
  const { id, rev } = sessionIn(payload, profile);
  const sessionId = typeof id === "string" ? parseSessionId(id) : undefined;
  if (sessionId === undefined) return undefined;
  const revision = typeof rev === "number" ? rev : undefined;
  return { sessionId, revision, issuedAt: iat, notBefore: nbf, expiresAt: exp };
}

function sessionIn(payload: ReadonlyMembers, profile: JwtProfile): ReadonlyMembers {
  switch (profile) {
    case "default":
      return { id: payload["sid"], rev: payload["rev"] };
    case "stytch": {
      const session = payload[stytchSession];
      return isObject(session) ? session : {};
    }
  }
}

/**
 * As Stytch's SDKs read it. Every claim at the top level that they do not know is a custom claim to them, so `rev` stands
 * inside. An organization has no other slug here than its id.
 */
function stytchClaims(session: Session): JWTPayload {
  const { organizationId } = session;
  return {
    [stytchSession]: {
      id: session.id,
      started_at: session.createTime.toISOString(),
      last_accessed_at: session.lastAccessTime.toISOString(),
      expires_at: session.expireTime.toISOString(),
      attributes: { ip_address: session.device.ipAddress, user_agent: session.device.userAgent },
      authentication_factors: session.authenticationFactors.map((factor) => ({
        type: factor.method,
        delivery_method: factor.deliveryMethod,
        last_authenticated_at: factor.authenticateTime.toISOString(),
      })),
      roles: session.roles,
      rev: session.createdRevision,
    },
    ...(organizationId !== undefined && {
      [stytchOrganization]: { organization_id: organizationId, slug: organizationId },
    }),
  };
}
