import type { JWK } from "jose";
import type { CallContext } from "../../transport/call-context.ts";
import type { ProjectId } from "../ids.ts";
import { type Policy, jwtLifetimeBounds } from "../policy.ts";
import type { SignatureAlgorithm } from "../signature-algorithm.ts";

/** A project's signing key as it is stored. */
export interface StoredSigningKey {
  readonly projectId: ProjectId;
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  readonly algorithm: SignatureAlgorithm;
  readonly publicJwk: JWK;
  /** PKCS #8, sealed with the master key named by `masterKeyId`. */
  readonly sealedPrivateKey: Buffer;
  readonly masterKeyId: string;
  /** Since when it is published. */
  readonly createTime: Date;
  /** Since when it signs. */
  readonly activateTime: Date;
  /** Until when it signs: where the next key takes over. Undefined for the last of the project. */
  readonly retireTime: Date | undefined;
  readonly revocation: SigningKeyRevocation | undefined;
}

/** The revocation of a signing key, as the log has it. */
export interface SigningKeyRevocation {
  readonly revision: number;
  readonly time: Date;
}

/** What a signing key is good for. */
export type SigningKeyState =
  | "next" // published, so that verifiers know it before it signs
  | "active" // signs
  | "retired" // signs no more; what it signed is good
  | "revoked"; // what it signed is refused

/** What `key` is good for at `now`. */
export function stateOfKey(key: StoredSigningKey, now: Date): SigningKeyState {
  if (key.revocation !== undefined) return "revoked";
  if (key.retireTime !== undefined && key.retireTime <= now) return "retired";
  return key.activateTime <= now ? "active" : "next";
}

/** What replicas' clocks may differ by without harm, in milliseconds: a slow one signs with a retired key for so long. */
const clockSkew = 600_000;

/**
 * Until when a key is published: until the last JWT it signed has expired, whatever the policy was when it was signed.
 * Undefined where the end is not known yet.
 */
export function publishEndOf(key: StoredSigningKey): Date | undefined {
  if (key.revocation !== undefined) return key.revocation.time;
  return key.retireTime && new Date(key.retireTime.getTime() + jwtLifetimeBounds.max + clockSkew);
}

const order: Record<SigningKeyState, number> = { active: 0, next: 1, retired: 2, revoked: 3 };

/** The keys that a JWKS shows at `now`: the one that signs first, then the next, then retired ones, newest first. */
export function publishedKeys(keys: readonly StoredSigningKey[], now: Date): readonly StoredSigningKey[] {
  return keys
    .filter((key) => (publishEndOf(key) ?? now) >= now && key.revocation === undefined)
    .toSorted(
      (a, b) =>
        order[stateOfKey(a, now)] - order[stateOfKey(b, now)] ||
        b.activateTime.getTime() - a.activateTime.getTime(),
    );
}

/** What the keys of a project are made for: RS256 is what every SDK of Stytch verifies. */
export function algorithmOf({ signatureAlgorithm, jwtProfile }: Policy): SignatureAlgorithm {
  return signatureAlgorithm ?? (jwtProfile === "stytch" ? "RS256" : "ES256");
}

/** A key that signs now or will. */
export type KeyInLine = Pick<StoredSigningKey, "kid" | "activateTime" | "retireTime">;

/** Where signing keys are kept. The times of a project's unrevoked keys follow each other without overlap. */
export interface SigningKeyStore {
  /** The keys that sign at `now` or later, by activateTime; asked of the database with every call. */
  signingLine(projectId: ProjectId, now: Date, call: CallContext): Promise<readonly KeyInLine[]>;
  /** Whether the project has such a key and has not revoked it; asked of the database with every call. */
  isSigningKeyGood(projectId: ProjectId, kid: string, call: CallContext): Promise<boolean>;
  /** One key, revoked or not. */
  findSigningKey(projectId: ProjectId, kid: string): Promise<StoredSigningKey | undefined>;
  /** The newest {@link maxListedKeys} keys, revoked ones too, newest first. */
  listSigningKeys(projectId: ProjectId, call: CallContext): Promise<readonly StoredSigningKey[]>;
  /** Stores `key` unless a key of the project signs without a known end. */
  addFirstSigningKey(key: StoredSigningKey): Promise<void>;
  /**
   * Stores `next` and lets it take over at its activateTime from the key that signs; does nothing where another one is to
   * take over already, however many ask at once.
   */
  addNextSigningKey(next: StoredSigningKey): Promise<void>;
  /** Up to `limit` keys that sign at `now` or later and were sealed with another master key than this. */
  keysSealedOtherwise(masterKeyId: string, now: Date, limit: number): Promise<readonly StoredSigningKey[]>;
  /** Replaces the sealed private key, unless somebody has replaced the one sealed with `masterKeyId` already. */
  resealSigningKey(key: StoredSigningKey, masterKeyId: string): Promise<void>;
}

/** Most keys in a list of a project's. */
export const maxListedKeys = 1000;
