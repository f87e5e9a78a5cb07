import type { Kysely } from "kysely";
import { loadPrivateKey } from "../../domain/keys/key-material.ts";
import { keysNotWrappedWith } from "../../storage/signing-key-store.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import { masterKeysOf } from "../master-keys.ts";

/** What there is of keys that sign or are to. */
export interface KeyCheck {
  readonly openable: number;
  /** Why others cannot be opened, in words; without a secret. */
  readonly problems: readonly string[];
}

/** More are not looked at. */
const maxKeys = 10_000;

/** Tries every signing key that signs now or will with the configured master keys. */
export async function checkSigningKeys(
  db: Kysely<Tables>,
  current: Buffer,
  accepted: readonly Buffer[],
  now: Date,
): Promise<KeyCheck> {
  const masterKeys = masterKeysOf(current, accepted);
  // No master key has an empty id: these are all that may sign.
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
