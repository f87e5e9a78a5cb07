import { LRUCache } from "lru-cache";
import type { SessionReference } from "../../../jwt/claims.ts";
import { type JsonObject, maxJwtLength, parseCompactJws } from "../../../jwt/compact-jws.ts";
import { isSignedBy } from "../../../jwt/signature.ts";
import { jwtCacheKey, readStatement } from "../../../jwt/statement.ts";
import type { KeySet } from "./key-set.ts";

export const invalidities = [
  "form", // not three canonical base64url parts with JSON inside, or longer than 16,384 characters
  "algorithm", // not on the allow-list, or not the key's
  "key", // the project publishes no such key
  "signature",
  "type", // `typ` is not JWT
  "issuer",
  "audience",
  "claims", // a claim is missing or has the wrong form
  "time", // not valid yet
  "session", // the server knows no such session
] as const;
/** The first check that an invalid JWT fails. The checks run in this order. */
export type Invalidity = (typeof invalidities)[number];

/** The claims of an accepted session JWT. Frozen, because verdicts on one JWT share the object. Times in seconds since 1970. */
export interface SessionClaims extends SessionReference {
  readonly memberId: string;
  readonly organizationId: string | undefined;
  readonly roles: readonly string[];
  /** All claims of the JWT, including custom ones. */
  readonly payload: JsonObject;
}

/** A JWT with a valid signature and valid claims. Only time and revocation can still end it. */
export interface CheckedJwt {
  readonly claims: SessionClaims;
  /** The key that signed it. */
  readonly kid: string;
}

/** Checks everything about a JWT that time and revocation cannot change, and caches valid JWTs. */
export class JwtCheck {
  readonly #keys: KeySet;
  readonly #issuer: string;
  readonly #projectId: string;
  readonly #cache: LRUCache<string, CheckedJwt> | undefined;

  /** Accepts JWTs with this `iss`, and this project as `aud`. `cacheSize` 0 disables the cache. */
  constructor(keys: KeySet, issuer: string, projectId: string, cacheSize: number) {
    this.#keys = keys;
    this.#issuer = issuer;
    this.#projectId = projectId;
    this.#cache = cacheSize > 0 ? new LRUCache({ max: cacheSize }) : undefined;
  }

  get cachedCount(): number {
    return this.#cache?.size ?? 0;
  }

  /** Checks form, algorithm, key, signature, type, issuer, audience and claims, in this order. */
  check(jwt: string): CheckedJwt | Promise<CheckedJwt | Invalidity | "keys unavailable"> | "form" {
    if (typeof jwt !== "string" || jwt.length > maxJwtLength) return "form";
    const cacheKey = jwtCacheKey(jwt);
    return this.#cache?.get(cacheKey) ?? this.#checkUncached(jwt, cacheKey);
  }

  forget(jwt: string): void {
    this.#cache?.delete(jwtCacheKey(jwt));
  }

  /** Empties the cache, because keys may no longer be valid. */
  clear(): void {
    this.#cache?.clear();
  }

  async #checkUncached(jwt: string, cacheKey: string): Promise<CheckedJwt | Invalidity | "keys unavailable"> {
    const jws = parseCompactJws(jwt);
    if (jws === undefined) return "form";
    const { algorithm, kid, isJwt, issuer, audience, session } = readStatement(jws);
    if (algorithm === undefined) return "algorithm";
    const key = kid === undefined ? "unknown" : await this.#keys.find(kid);
    if (key === "unavailable") return "keys unavailable";
    if (key === "unknown") return "key";
    if (key.algorithm !== algorithm) return "algorithm";
    if (!isSignedBy(key, jwt)) return "signature";
    if (!isJwt) return "type";
    if (issuer !== this.#issuer) return "issuer";
    if (!audience.includes(this.#projectId)) return "audience";
    const claims = session.default && sessionClaimsOf(session.default, jws.payload);
    if (claims === undefined) return "claims";
    const checked = { claims, kid: key.kid };
    this.#cache?.set(cacheKey, checked);
    return checked;
  }
}

/** Completes the claims of the default profile. Returns undefined if one of them has the wrong form. */
function sessionClaimsOf(reference: SessionReference, payload: JsonObject): SessionClaims | undefined {
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
