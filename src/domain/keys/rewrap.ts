import { resealed } from "./key-material.ts";
import type { MasterKeys } from "./sealing.ts";
import type { SigningKeyStore } from "./signing-key.ts";

const batchSize = 100;

/**
 * Seals every key that may still sign with the current master key, and returns how many were sealed with another. After
 * it, and once no replica seals with an older one, the older one is not needed any more. Throws, in words, for a key that
 * no master key opens. Retired keys stay as they are: nobody needs their private parts.
 */
export async function resealSigningKeys(
  store: SigningKeyStore,
  { current, accepted }: MasterKeys,
  now: Date,
): Promise<number> {
  let count = 0;
  for (;;) {
    const keys = await store.keysSealedOtherwise(current.id, now, batchSize);
    for (const key of keys) {
      await store.resealSigningKey(resealed(key, current, [current, ...accepted]), key.masterKeyId);
    }
    count += keys.length;
    if (keys.length < batchSize) return count;
  }
}
