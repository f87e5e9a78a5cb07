import { createPrivateKey, createPublicKey } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair } from "jose";
import type { ProjectId } from "../ids.ts";
import { type MasterKey, open, seal } from "./sealing.ts";
import type { SignatureKey } from "./jws-signature.ts";
import type { SignatureAlgorithm } from "../signature-algorithm.ts";
import type { StoredSigningKey } from "./signing-key.ts";

/** A key ready to sign or verify with. */
export interface LoadedKey extends SignatureKey {
  readonly kid: string;
}

/** A key ready to sign with. */
export interface LoadedPrivateKey extends LoadedKey {
  /** The header of every JWT it signs, as the JWT has it: in base64url. */
  readonly protectedHeader: string;
}

/** Makes a key pair, its private part sealed with `masterKey`. RSA keys have 2048 bits, EdDSA ones are on Ed25519. */
export async function newKeyMaterial(
  projectId: ProjectId,
  algorithm: SignatureAlgorithm,
  masterKey: MasterKey,
): Promise<Omit<StoredSigningKey, "createTime" | "activateTime" | "retireTime" | "revocation">> {
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

/** The private key; throws in words where none of `masterKeys` sealed it. */
export function loadPrivateKey(stored: StoredSigningKey, masterKeys: readonly MasterKey[]): LoadedPrivateKey {
  const { kid, algorithm } = stored;
  const key = createPrivateKey(openPrivateKey(stored, masterKeys));
  const header = JSON.stringify({ alg: algorithm, kid, typ: "JWT" });
  return { kid, algorithm, key, protectedHeader: Buffer.from(header).toString("base64url") };
}

/** The public key. */
export function loadPublicKey({ kid, algorithm, publicJwk }: StoredSigningKey): LoadedKey {
  return { kid, algorithm, key: createPublicKey({ key: publicJwk, format: "jwk" }) };
}

/** The same key, sealed with `masterKey`; throws in words where none of `masterKeys` sealed it. */
export function resealed(
  stored: StoredSigningKey,
  masterKey: MasterKey,
  masterKeys: readonly MasterKey[],
): StoredSigningKey {
  const sealedPrivateKey = seal(masterKey, openPrivateKey(stored, masterKeys), sealingContext(stored));
  return { ...stored, sealedPrivateKey, masterKeyId: masterKey.id };
}

function openPrivateKey(stored: StoredSigningKey, masterKeys: readonly MasterKey[]): Buffer {
  const { projectId, kid, masterKeyId, sealedPrivateKey } = stored;
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (masterKey !== undefined) return open(masterKey, sealedPrivateKey, sealingContext(stored));
  const configured = masterKeys.map(({ id }) => id).join(" and ");
  throw new Error(
    `signing key ${kid} of project ${projectId} was sealed with master key ${masterKeyId}, which is not configured ` +
      `(${configured}): put the key it was sealed with into SESSIOND_MASTER_KEY or SESSIOND_MASTER_KEYS_ACCEPTED`,
  );
}

function sealingContext({ projectId, kid }: Pick<StoredSigningKey, "projectId" | "kid">): string {
  return `${projectId}/${kid}`;
}
