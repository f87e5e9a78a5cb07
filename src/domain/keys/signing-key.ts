import type { JWK } from "jose";
import { jwtRelevanceMarginMs } from "../../jwt/claims.ts";
import type { SignatureAlgorithm } from "../../jwt/signature.ts";
import type { CallContext } from "../../transport/call-context.ts";
import type { ProjectId } from "../ids.ts";
import type { PageRequest } from "../page.ts";
import { type Policy, jwtLifetimeBounds } from "../policy.ts";

export interface StoredSigningKey {
  readonly projectId: ProjectId;
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  readonly algorithm: SignatureAlgorithm;
  readonly publicJwk: JWK;
  /** PKCS #8, sealed with the master key named by `masterKeyId`. */
  readonly sealedPrivateKey: Buffer;
  readonly masterKeyId: string;
  /** Start of publication. */
  readonly createTime: Date;
  /** Start of signing. */
  readonly activateTime: Date;
  /** End of signing: the next key takes over. Undefined for the last key of the project. */
  readonly retireTime: Date | undefined;
  readonly revocation: SigningKeyRevocation | undefined;
}

/** A key whose times are not decided yet. */
export type NewSigningKey = Omit<
  StoredSigningKey,
  "createTime" | "activateTime" | "retireTime" | "revocation"
>;

export interface SigningKeyRevocation {
  readonly revision: number;
  readonly time: Date;
}

export type SigningKeyState =
  | "next" // published, so that verifiers know it before it signs
  | "active" // signs
  | "retired" // no longer signs; its JWTs stay valid
  | "revoked"; // its JWTs are rejected

export function stateOfKey(key: StoredSigningKey, now: Date): SigningKeyState {
  if (key.revocation !== undefined) return "revoked";
  if (key.retireTime !== undefined && key.retireTime <= now) return "retired";
  return key.activateTime <= now ? "active" : "next";
}

/**
 * Returns the end of a key's publication: the last JWT that it may have signed has expired, under any policy. Undefined if the
 * key has no end yet.
 */
export function publishEndOf(key: StoredSigningKey): Date | undefined {
  if (key.revocation !== undefined) return key.revocation.time;
  return key.retireTime && new Date(key.retireTime.getTime() + jwtLifetimeBounds.max + jwtRelevanceMarginMs);
}

const order: Record<SigningKeyState, number> = { active: 0, next: 1, retired: 2, revoked: 3 };

/** Returns the keys of a JWKS: the active key, then the next ones, then retired ones; the newest first in each state. */
export function publishedKeys(keys: readonly StoredSigningKey[], now: Date): readonly StoredSigningKey[] {
  return keys
    .filter((key) => (publishEndOf(key) ?? now) >= now && key.revocation === undefined)
    .toSorted(
      (a, b) =>
        order[stateOfKey(a, now)] - order[stateOfKey(b, now)] ||
        b.activateTime.getTime() - a.activateTime.getTime(),
    );
}

/** Returns the algorithm of a project's new keys. Every SDK of Stytch verifies RS256. */
export function algorithmOf({ signatureAlgorithm, jwtProfile }: Policy): SignatureAlgorithm {
  return signatureAlgorithm ?? (jwtProfile === "stytch" ? "RS256" : "ES256");
}

/** A key that signs now or later. */
export type ScheduledKey = Pick<StoredSigningKey, "kid" | "activateTime" | "retireTime">;

export const maxListedKeys = 1000;

/** Storage of signing keys. The signing times of a project's unrevoked keys follow each other without overlap. */
export interface SigningKeyStore {
  /** Returns the keys that sign at `now` or later, ordered by activateTime. Reads the database on every call. */
  signingSchedule(projectId: ProjectId, now: Date, call: CallContext): Promise<readonly ScheduledKey[]>;
  /** Reports whether the project has the key and has not revoked it. Reads the database on every call. */
  isSigningKeyGood(projectId: ProjectId, kid: string, call: CallContext): Promise<boolean>;
  findSigningKey(projectId: ProjectId, kid: string): Promise<StoredSigningKey | undefined>;
  /** Returns the newest {@link maxListedKeys} keys, including revoked ones, newest first. */
  listSigningKeys(projectId: ProjectId, call: CallContext): Promise<readonly StoredSigningKey[]>;
  /** Lists keys, including revoked ones, newest first; up to one more than the page holds. */
  pageSigningKeys(
    projectId: ProjectId,
    page: PageRequest<string>,
    call: CallContext,
  ): Promise<readonly StoredSigningKey[]>;
  /** Stores `key` unless the project has an unrevoked key without an end. */
  addFirstSigningKey(key: StoredSigningKey): Promise<void>;
  /**
   * Stores `next` and ends the current key at the activateTime of `next`. Does nothing if another key is scheduled already or
   * the project is disabled, also under concurrent calls.
   */
  addNextSigningKey(next: StoredSigningKey): Promise<void>;
  /** Returns at most `limit` keys that sign at `now` or later and are sealed with another master key. */
  keysNotWrappedWith(masterKeyId: string, now: Date, limit: number): Promise<readonly StoredSigningKey[]>;
  /** Replaces the sealed private key if it is still sealed with `masterKeyId`. */
  rewrapSigningKey(key: StoredSigningKey, masterKeyId: string): Promise<void>;
}
