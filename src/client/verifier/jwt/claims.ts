/** What a session JWT says of its session. Frozen: verdicts on one JWT share it. */
export interface SessionClaims {
  readonly sessionId: string;
  readonly memberId: string;
  readonly organizationId: string | undefined;
  readonly roles: readonly string[];
  /** The session's created revision. */
  readonly revision: number;
  /** Of the JWT; seconds since 1970. */
  readonly issuedAt: number;
  readonly notBefore: number | undefined;
  readonly expiresAt: number;
  /** Every claim as it stands in the JWT, custom ones too. */
  readonly payload: Readonly<Record<string, unknown>>;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Reads the claims of a payload; undefined where one is missing or has the wrong form. */
export function readClaims(payload: Readonly<Record<string, unknown>>): SessionClaims | undefined {
  const { sid, sub, rev, iat, nbf, exp, roles = [], organization_id: organizationId } = payload;
  const isSession = typeof sid === "string" && uuidPattern.test(sid) && typeof rev === "number";
  if (!isSession || !Number.isSafeInteger(rev) || rev < 0) return undefined;
  if (typeof sub !== "string" || sub === "") return undefined;
  if (organizationId !== undefined && typeof organizationId !== "string") return undefined;
  if (!isTime(iat) || !isTime(exp) || !(nbf === undefined || isTime(nbf))) return undefined;
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) return undefined;
  return deepFreeze({
    sessionId: sid.toLowerCase(),
    memberId: sub,
    organizationId,
    roles: [...roles],
    revision: rev,
    issuedAt: iat,
    notBefore: nbf,
    expiresAt: exp,
    payload,
  });
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
