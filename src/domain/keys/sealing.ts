import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** Encrypts private keys at rest. The id is stored beside each key that it sealed. */
export interface MasterKey {
  readonly id: string;
  /** 32 bytes, from configuration. */
  readonly bytes: Buffer;
}

export interface MasterKeys {
  /** Seals and opens. */
  readonly current: MasterKey;
  /** Only open: earlier and later master keys, during a change. */
  readonly accepted: readonly MasterKey[];
}

/** Makes a master key of 32 bytes. The id is derived from them, so that it is the same on every replica. */
export function masterKeyOf(bytes: Buffer): MasterKey {
  if (bytes.length !== 32) throw new RangeError(`a master key must have 32 bytes, not ${bytes.length}`);
  return {
    id: createHash("sha256").update("sessiond master key id").update(bytes).digest("hex").slice(0, 16),
    bytes,
  };
}

const ivLength = 12;
const tagLength = 16;

/** Encrypts with AES-256-GCM and returns nonce, ciphertext and tag. `context` is authenticated: open() needs the same. */
export function seal(masterKey: MasterKey, plain: Buffer, context: string): Buffer {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv("aes-256-gcm", masterKey.bytes, iv).setAAD(Buffer.from(context));
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts the result of seal(). Throws if key, context or bytes differ. */
export function open(masterKey: MasterKey, sealed: Buffer, context: string): Buffer {
  const iv = sealed.subarray(0, ivLength);
  const decipher = createDecipheriv("aes-256-gcm", masterKey.bytes, iv, { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagLength));
  return Buffer.concat([decipher.update(sealed.subarray(ivLength, -tagLength)), decipher.final()]);
}
