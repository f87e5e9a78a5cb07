import type { Logger } from "pino";
import { rewrapSigningKeys } from "../domain/keys/key-material.ts";
import { type MasterKeys, masterKeyOf } from "../domain/keys/sealing.ts";
import type { SigningKeyStore } from "../domain/keys/signing-key.ts";

/** The configured master keys, each once. */
export function masterKeysOf(current: Buffer, accepted: readonly Buffer[]): MasterKeys {
  return { current: masterKeyOf(current), accepted: accepted.map(masterKeyOf) };
}

/** Brings what is sealed with another master key to the current one. Throws, in words, for what none of them opens. */
export async function adoptMasterKey(
  store: SigningKeyStore,
  masterKeys: MasterKeys,
  now: Date,
  log: Logger,
): Promise<void> {
  const keys = await rewrapSigningKeys(store, masterKeys, now);
  if (keys > 0) {
    log.info({ keys, masterKey: masterKeys.current.id }, "signing keys sealed with the current master key");
  }
}
