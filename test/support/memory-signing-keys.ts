import type { SigningKeyStore, StoredSigningKey } from "../../src/domain/key-ring.ts";

/** Signing keys in memory, for tests of what is made with them. `asked` counts the look-ups of keys to verify with. */
export function memorySigningKeys(): SigningKeyStore & {
  readonly stored: StoredSigningKey[];
  readonly asked: () => number;
} {
  const stored: StoredSigningKey[] = [];
  let asked = 0;
  const active: SigningKeyStore["activeSigningKey"] = async (projectId) =>
    stored.find((key) => key.projectId === projectId);
  return {
    stored,
    asked: () => asked,
    activeSigningKey: active,
    activateFirstSigningKey: async (key) => {
      const first = await active(key.projectId);
      if (first === undefined) stored.push(key);
      return first ?? key;
    },
    signingKey: async (projectId, kid) => {
      asked++;
      return stored.find((key) => key.projectId === projectId && key.kid === kid);
    },
    signingKeys: async (projectId) => stored.filter((key) => key.projectId === projectId),
  };
}
