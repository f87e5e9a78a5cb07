import type { SessionReference } from "../../../jwt/claims.ts";
import type { JsonObject } from "../../../jwt/compact-jws.ts";

/** The claims of an accepted session JWT. Frozen, because verdicts on one JWT share the object. Times in seconds since 1970. */
export interface SessionClaims extends SessionReference {
  readonly memberId: string;
  readonly organizationId: string | undefined;
  readonly roles: readonly string[];
  /** All claims of the JWT, including custom ones. */
  readonly payload: JsonObject;
}

/** Completes the claims of the default profile. Returns undefined if one of them has the wrong form. */
export function sessionClaimsOf(reference: SessionReference, payload: JsonObject): SessionClaims | undefined {
  const { sub, roles = [], organization_id: organizationId } = payload;
  if (typeof sub !== "string") return undefined;
  if (organizationId !== undefined && typeof organizationId !== "string") return undefined;
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) return undefined;
  return deepFreeze({ ...reference, memberId: sub, organizationId, roles: [...roles], payload });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
