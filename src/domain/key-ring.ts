import {
  calculateJwkThumbprint,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importJWK,
  importPKCS8,
} from "jose";
import type { CryptoKey, JWK } from "jose";
import type { ProjectId } from "./ids.ts";
import { type MasterKey, open, seal } from "./sealing.ts";

/** Signature algorithms of session JWTs: the allow-list. */
export const signatureAlgorithms = ["ES256"] as const;
/** One of {@link signatureAlgorithms}. */
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

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
  readonly createTime: Date;
}

/** Where signing keys are kept. */
export interface SigningKeyStore {
  /** The key that signs now. */
  activeSigningKey(projectId: ProjectId): Promise<StoredSigningKey | undefined>;
  /** Stores `key` as the active one unless the project has one already, and returns the active one. */
  activateFirstSigningKey(key: StoredSigningKey): Promise<StoredSigningKey>;
  /** A key that verifies, by its id. */
  signingKey(projectId: ProjectId, kid: string): Promise<StoredSigningKey | undefined>;
  /** Every key that verifies. */
  signingKeys(projectId: ProjectId): Promise<readonly StoredSigningKey[]>;
}

/** A key ready to sign or verify with. */
export interface LoadedKey {
  readonly kid: string;
  readonly algorithm: SignatureAlgorithm;
  readonly key: CryptoKey;
}

/** Most keys kept in memory of each kind; beyond it the oldest is read again when needed. */
const maxCachedKeys = 10_000;

/** The signing keys of all projects: made on first use, opened once, kept in memory. */
export class KeyRing {
  readonly #store: SigningKeyStore;
  readonly #masterKey: MasterKey;
  readonly #now: () => Date;
  readonly #signing = new Map<ProjectId, Promise<LoadedKey>>();
  readonly #verifying = new Map<string, LoadedKey>();

  constructor(store: SigningKeyStore, masterKey: MasterKey, now: () => Date) {
    this.#store = store;
    this.#masterKey = masterKey;
    this.#now = now;
  }

  /** The key that signs for the project, made now if it has none. Throws where it was sealed with another master key. */
  signingKey(projectId: ProjectId): Promise<LoadedKey> {
    const known = this.#signing.get(projectId);
    if (known !== undefined) return known;
    const loading = this.#loadSigningKey(projectId);
    remember(this.#signing, projectId, loading);
    loading.catch(() => this.#signing.delete(projectId));
    return loading;
  }

  /** The key of this id that verifies for the project. Key material never changes, so a key once seen is not asked for again. */
  async verifyingKey(projectId: ProjectId, kid: string): Promise<LoadedKey | undefined> {
    const cacheKey = `${projectId}/${kid}`;
    const known = this.#verifying.get(cacheKey);
    if (known !== undefined) return known;
    const stored = await this.#store.signingKey(projectId, kid);
    if (stored === undefined) return undefined;
    const key = (await importJWK(stored.publicJwk, stored.algorithm)) as CryptoKey;
    const loaded: LoadedKey = { kid, algorithm: stored.algorithm, key };
    remember(this.#verifying, cacheKey, loaded);
    return loaded;
  }

  /** The project's public keys, for its JWKS; makes the first key if there is none, so that it is published before use. */
  async publicJwks(projectId: ProjectId): Promise<readonly JWK[]> {
    await this.signingKey(projectId);
    return (await this.#store.signingKeys(projectId)).map((stored) => stored.publicJwk);
  }

  async #loadSigningKey(projectId: ProjectId): Promise<LoadedKey> {
    const stored =
      (await this.#store.activeSigningKey(projectId)) ??
      (await this.#store.activateFirstSigningKey(await this.#newSigningKey(projectId)));
    if (stored.masterKeyId !== this.#masterKey.id) {
      throw new Error(
        `signing key ${stored.kid} of project ${projectId} was sealed with master key ${stored.masterKeyId}, ` +
          `but the configured one is ${this.#masterKey.id}: start with the key it was sealed with`,
      );
    }
    const pkcs8 = open(this.#masterKey, stored.sealedPrivateKey, sealingContext(projectId, stored.kid));
    const key = await importPKCS8(pkcs8.toString(), stored.algorithm);
    return { kid: stored.kid, algorithm: stored.algorithm, key };
  }

  async #newSigningKey(projectId: ProjectId): Promise<StoredSigningKey> {
    const algorithm = signatureAlgorithms[0];
    const pair = await generateKeyPair(algorithm, { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    const kid = await calculateJwkThumbprint(jwk);
    const pkcs8 = Buffer.from(await exportPKCS8(pair.privateKey));
    return {
      projectId,
      kid,
      algorithm,
      publicJwk: { ...jwk, kid, alg: algorithm, use: "sig" },
      sealedPrivateKey: seal(this.#masterKey, pkcs8, sealingContext(projectId, kid)),
      masterKeyId: this.#masterKey.id,
      createTime: this.#now(),
    };
  }
}

function sealingContext(projectId: ProjectId, kid: string): string {
  return `${projectId}/${kid}`;
}

function remember<K, V>(cache: Map<K, V>, key: K, value: V): void {
  const oldest = cache.size >= maxCachedKeys ? cache.keys().next() : undefined;
  if (oldest?.done === false) cache.delete(oldest.value);
  cache.set(key, value);
}
