import { isIP } from "node:net";
import { claimsOf } from "../../jwt/claims.ts";
import { stytchFactors } from "../../jwt/stytch-factors.ts";
import type { FieldViolation } from "../errors.ts";
import { maxClaimsBytes } from "./custom-claims.ts";
import type { Session } from "./session.ts";

/** Bounds of what a login states about its session. Lengths are in Unicode code points. */
export const loginBounds = {
  userAgent: 1024,
  /** 45 of an IPv6 literal, `%` and a zone. */
  ipAddress: 62,
  factors: 32,
  method: 64,
  deliveryMethod: 64,
  assuranceLevel: 16,
  roles: 100,
  role: 255,
  /** Of the roles as JSON, in bytes. */
  rolesBytes: 4096,
} as const;

/** Parses an IPv4 or IPv6 literal. The length is checked too, because a zone (`fe80::1%eth0`) may be of any length. */
export function parseIpAddress(text: string): string | undefined {
  return text.length <= loginBounds.ipAddress && isIP(text) !== 0 ? text : undefined;
}

/**
 * Most bytes of JSON that a session JWT spends on its session, in its largest profile. With the signature, the registered claims
 * and base64 this makes at most `maxSignedJwtLength` characters: a session must stay usable when the policy changes its profile.
 */
export const maxStatedBytes = 9728;

/** A part that alone takes more is named if the whole is too large. All parts below it are never too large together. */
const largePartBytes = 1024;

type Login = Omit<Session, "createdRevision" | "revocation">;

/** Finds the fields that make session JWTs too long; none if they are not. */
export function violationsOfJwtSize(session: Login): readonly FieldViolation[] {
  if (estimate(session) <= maxStatedBytes) return [];
  const { memberId, organizationId = "", device, authenticationFactors, roles, customClaims } = session;
  // Later revisions must not take more room.
  const claims = claimsOf({ ...session, createdRevision: Number.MAX_SAFE_INTEGER }, "stytch");
  if (bytesOf({ ...claims, sub: memberId }) <= maxStatedBytes) return [];
  const parts: readonly (readonly [field: string, bytes: number])[] = [
    ["member_id", bytesOf(memberId)],
    // Stated twice: as id and as slug.
    ["organization_id", 2 * bytesOf(organizationId)],
    ["device.user_agent", bytesOf(device.userAgent)],
    ["authentication_factors", bytesOf(stytchFactors(authenticationFactors))],
    ["roles", bytesOf(roles)],
    ["custom_claims", bytesOf(customClaims)],
  ];
  return parts
    .filter(([, bytes]) => bytes > largePartBytes)
    .map(([field, bytes]) => ({
      field,
      description: `takes ${bytes} bytes of the session JWTs, which may spend ${maxStatedBytes} bytes of JSON on a session`,
    }));
}

/** Estimates the bytes from above, without writing JSON: a string takes up to six bytes per UTF-16 unit. */
function estimate({ memberId, organizationId, device, authenticationFactors, roles }: Login): number {
  const { userAgent, ipAddress } = device;
  const units = memberId.length + 2 * (organizationId?.length ?? 0) + userAgent.length + ipAddress.length;
  const lists = roles.reduce((sum, role) => sum + 6 * role.length + 3, 150 * authenticationFactors.length);
  // Names, times and the session's id take less than 512 bytes.
  return maxClaimsBytes + 512 + 6 * units + lists;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
