import type { Kysely } from "kysely";
import { loadPrivateKey } from "../../domain/keys/key-material.ts";
import { keysNotWrappedWith } from "../../storage/signing-key-store.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import { masterKeysOf } from "../config/config.ts";

/** Which signing keys the configured master keys decrypt. */
export interface KeyCheck {
  readonly openable: number;
  /** Why the others cannot be decrypted; contains no secret. */
  readonly problems: readonly string[];
}

/** Most keys that are checked. */
const maxKeys = 10_000;

/** Decrypts every signing key that signs now or will sign. */
export async function checkSigningKeys(
  db: Kysely<Tables>,
  current: Buffer,
  accepted: readonly Buffer[],
  now: Date,
): Promise<KeyCheck> {
  const masterKeys = masterKeysOf(current, accepted);
  // No master key has an empty id, so this returns every key.
  const keys = await keysNotWrappedWith(db, "", now, maxKeys);
  const problems = keys.flatMap((key) => {
    try {
      loadPrivateKey(key, [masterKeys.current, ...masterKeys.accepted]);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
  return { openable: keys.length - problems.length, problems };
}
