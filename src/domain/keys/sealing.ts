import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** The key that private keys are encrypted with at rest: 32 bytes from configuration, and the id stored beside what it sealed. */
export interface MasterKey {
  readonly id: string;
  readonly bytes: Buffer;
}

/** The master key that seals, and others that open what they sealed: those of before and of soon, while it changes. */
export interface MasterKeys {
  readonly current: MasterKey;
  readonly accepted: readonly MasterKey[];
}

/** The master key of these 32 bytes. Its id is derived from them, so the same key has the same id on every replica. */
export function masterKeyOf(bytes: Buffer): MasterKey {
  if (bytes.length !== 32) throw new RangeError(`a master key has 32 bytes, not ${bytes.length}`);
  return {
    id: createHash("sha256").update("sessiond master key id").update(bytes).digest("hex").slice(0, 16),
    bytes,
  };
}

const ivLength = 12;
const tagLength = 16;

/** Encrypts `plain` with AES-256-GCM; `context` is bound to it and must be given again to open. Nonce, ciphertext, tag. */
export function seal(masterKey: MasterKey, plain: Buffer, context: string): Buffer {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv("aes-256-gcm", masterKey.bytes, iv).setAAD(Buffer.from(context));
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts what {@link seal} made; throws when key, context or bytes are others. */
export function open(masterKey: MasterKey, sealed: Buffer, context: string): Buffer {
  const iv = sealed.subarray(0, ivLength);
  const decipher = createDecipheriv("aes-256-gcm", masterKey.bytes, iv, { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagLength));
  return Buffer.concat([decipher.update(sealed.subarray(ivLength, -tagLength)), decipher.final()]);
}
