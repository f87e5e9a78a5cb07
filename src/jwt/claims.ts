import { validate } from "uuid";
import { type JsonObject, isJsonObject } from "./compact-jws.ts";
import { type StatedFactor, stytchFactors } from "./stytch-factors.ts";

/** Claim layouts of session JWTs. */
export const jwtProfiles = ["default", "stytch"] as const;
export type JwtProfile = (typeof jwtProfiles)[number];

/**
 * How far the clocks of two machines may differ, in milliseconds. The only tolerance: of the service, of verifiers, and of all
 * times that are compared with a time of another machine. `nbf` is earlier than `iat` by this, for verifiers without a tolerance.
 */
export const clockToleranceMs = 30_000;

/**
 * How long after its `exp` a JWT can matter, in milliseconds: the signer and the verifier may differ from the database's clock, and
 * a call may sign a JWT some seconds after it has read the session or the key.
 */
export const jwtRelevanceMarginMs = 2 * clockToleranceMs + 10_000;

const stytchSession = "https://stytch.com/session";
const stytchOrganization = "https://stytch.com/organization";

/** Claim names that the service writes. Custom claims must not use them. */
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

/** Returns the issuer of a project's JWTs. `deployment` is the issuer of the deployment. */
export function issuerOf(profile: JwtProfile, deployment: string, projectId: string): string {
  return profile === "stytch" ? `stytch.com/${projectId}` : `${deployment}/${projectId}`;
}

/** What a session JWT states about its session. */
export interface ClaimedSession {
  readonly id: string;
  readonly organizationId: string | undefined;
  readonly roles: readonly string[];
  readonly createdRevision: number;
  readonly customClaims: JsonObject;
  readonly createTime: Date;
  readonly lastAccessTime: Date;
  readonly expireTime: Date;
  readonly device: { readonly ipAddress: string; readonly userAgent: string };
  readonly authenticationFactors: readonly StatedFactor[];
}

/** Returns the claims about a session, without the registered claims. */
export function claimsOf(session: ClaimedSession, profile: JwtProfile): JsonObject {
  const custom = Object.fromEntries(
    Object.entries(session.customClaims).filter(([name]) => !reservedClaims.has(name)),
  );
  const { organizationId } = session;
  switch (profile) {
    case "default":
      return {
        ...custom,
        sid: session.id,
        ...(organizationId !== undefined && { organization_id: organizationId }),
        roles: session.roles,
        rev: session.createdRevision,
      };
    case "stytch":
      return {
        ...custom,
        [stytchSession]: stytchSessionClaim(session),
        // An organization has no slug other than its id.
        ...(organizationId !== undefined && {
          [stytchOrganization]: { organization_id: organizationId, slug: organizationId },
        }),
      };
  }
}

/** `rev` is inside because Stytch's SDKs take every unknown claim at the top level for a custom claim. */
function stytchSessionClaim(session: ClaimedSession): JsonObject {
  return {
    id: session.id,
    started_at: session.createTime.toISOString(),
    last_accessed_at: session.lastAccessTime.toISOString(),
    expires_at: session.expireTime.toISOString(),
    attributes: { ip_address: session.device.ipAddress, user_agent: session.device.userAgent },
    authentication_factors: stytchFactors(session.authenticationFactors),
    roles: session.roles,
    rev: session.createdRevision,
  };
}

/** The claims that decide whether a JWT is valid. Times in seconds since 1970. */
export interface SessionReference {
  /** UUID in lower case. */
  readonly sessionId: string;
  /** The session's created revision when the JWT was signed. */
  readonly revision: number;
  readonly issuedAt: number;
  /** `iat` if the JWT has no `nbf`. */
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** Reads the claims of a profile. Returns undefined if a required claim is missing or any of them has the wrong form. */
export function readSessionReference(payload: JsonObject, profile: JwtProfile): SessionReference | undefined {
  const { sub, iat, nbf = iat, exp } = payload;
  const { id, rev } = sessionIn(payload, profile);
  if (typeof sub !== "string" || sub === "") return undefined;
  if (!isTime(iat) || !isTime(nbf) || !isTime(exp)) return undefined;
  if (typeof id !== "string" || !validate(id)) return undefined;
  if (typeof rev !== "number" || !Number.isSafeInteger(rev) || rev < 0) return undefined;
  return { sessionId: id.toLowerCase(), revision: rev, issuedAt: iat, notBefore: nbf, expiresAt: exp };
}

function sessionIn(payload: JsonObject, profile: JwtProfile): JsonObject {
  if (profile === "default") return { id: payload["sid"], rev: payload["rev"] };
  const session = payload[stytchSession];
  return isJsonObject(session) ? session : {};
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Compares the times of a JWT with a clock, within {@link clockToleranceMs}. `nowMs` is in milliseconds since 1970. */
export function checkTimes(
  { issuedAt, notBefore, expiresAt }: SessionReference,
  nowMs: number,
): "early" | "valid" | "expired" {
  if (Math.max(issuedAt, notBefore) * 1000 > nowMs + clockToleranceMs) return "early";
  return expiresAt * 1000 + clockToleranceMs <= nowMs ? "expired" : "valid";
}
