import { createPrivateKey, createPublicKey } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair } from "jose";
import type { KeyWithId, SignatureAlgorithm } from "../../jwt/signature.ts";
import type { ProjectId } from "../ids.ts";
import { type MasterKey, type MasterKeys, open, seal } from "./sealing.ts";
import type { NewSigningKey, SigningKeyStore, StoredSigningKey } from "./signing-key.ts";

export interface LoadedPrivateKey extends KeyWithId {
  /** The header of every JWT it signs, in base64url. */
  readonly protectedHeader: string;
}

const rewrapBatchSize = 100;

/** Creates a key pair whose private part is sealed with `masterKey`. RSA keys have 2048 bits, EdDSA keys use Ed25519. */
export async function newKeyMaterial(
  projectId: ProjectId,
  algorithm: SignatureAlgorithm,
  masterKey: MasterKey,
): Promise<NewSigningKey> {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const pkcs8 = Buffer.from(await exportPKCS8(pair.privateKey));
  return {
    projectId,
    kid,
    algorithm,
    publicJwk: { ...jwk, kid, alg: algorithm, use: "sig" },
    sealedPrivateKey: seal(masterKey, pkcs8, sealingContext({ projectId, kid })),
    masterKeyId: masterKey.id,
  };
}

/** Loads the private key. Throws if it was sealed with none of `masterKeys`; the message names the missing one. */
export function loadPrivateKey(stored: StoredSigningKey, masterKeys: readonly MasterKey[]): LoadedPrivateKey {
  const { kid, algorithm } = stored;
  const key = createPrivateKey(openPrivateKey(stored, masterKeys));
  const header = JSON.stringify({ alg: algorithm, kid, typ: "JWT" });
  return { kid, algorithm, key, protectedHeader: Buffer.from(header).toString("base64url") };
}

export function loadPublicKey({ kid, algorithm, publicJwk }: StoredSigningKey): KeyWithId {
  return { kid, algorithm, key: createPublicKey({ key: publicJwk, format: "jwk" }) };
}

/**
 * Seals every key that may still sign with the current master key and returns the number of keys that had another one.
 * Afterwards the old master keys are needed only if a replica still seals with one. Retired keys stay as they are, because
 * their private parts are not used again. Throws if no master key opens one of the keys.
 */
export async function rewrapSigningKeys(
  store: SigningKeyStore,
  { current, accepted }: MasterKeys,
  now: Date,
): Promise<number> {
  const masterKeys = [current, ...accepted];
  let count = 0;
  for (;;) {
    const keys = await store.keysNotWrappedWith(current.id, now, rewrapBatchSize);
    for (const key of keys) {
      const sealedPrivateKey = seal(current, openPrivateKey(key, masterKeys), sealingContext(key));
      await store.rewrapSigningKey({ ...key, sealedPrivateKey, masterKeyId: current.id }, key.masterKeyId);
    }
    count += keys.length;
    if (keys.length < rewrapBatchSize) return count;
  }
}

function openPrivateKey(stored: StoredSigningKey, masterKeys: readonly MasterKey[]): Buffer {
  const { projectId, kid, masterKeyId, sealedPrivateKey } = stored;
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (masterKey !== undefined) return open(masterKey, sealedPrivateKey, sealingContext(stored));
  const configured = masterKeys.map(({ id }) => id).join(" and ");
  throw new Error(
    `signing key ${kid} of project ${projectId} is encrypted with master key ${masterKeyId}, which is not configured ` +
      `(${configured}): add that key to SESSIOND_MASTER_KEY or SESSIOND_MASTER_KEYS_ACCEPTED`,
  );
}

function sealingContext({ projectId, kid }: Pick<StoredSigningKey, "projectId" | "kid">): string {
  return `${projectId}/${kid}`;
}
