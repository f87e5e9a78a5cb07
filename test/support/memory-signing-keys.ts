import type { SigningKeyStore, StoredSigningKey } from "../../src/domain/signing-key.ts";

/** Signing keys in memory, for tests of what is made with them. */
export interface MemorySigningKeys extends SigningKeyStore {
  readonly stored: StoredSigningKey[];
  /** Counts the readings of whole keys. */
  readonly asked: () => number;
  /** Replaces what is stored of a key. */
  change(kid: string, changes: Partial<StoredSigningKey>): void;
}

/** No keys yet. */
export function memorySigningKeys(): MemorySigningKeys {
  const stored: StoredSigningKey[] = [];
  let asked = 0;
  const find = (projectId: string, kid: string) =>
    stored.find((key) => key.projectId === projectId && key.kid === kid);
  const last = (projectId: string) =>
    stored.find((key) => key.projectId === projectId && key.retireTime === undefined);
  const change = (kid: string, changes: Partial<StoredSigningKey>) => {
    const place = stored.findIndex((key) => key.kid === kid);
    const key = stored[place];
    if (key !== undefined) stored[place] = { ...key, ...changes };
  };
  return {
    stored,
    asked: () => asked,
    change,
    signingLine: async (projectId, now) =>
      stored
        .filter((key) => key.projectId === projectId && key.revocation === undefined)
        .filter(({ retireTime }) => retireTime === undefined || retireTime > now)
        .toSorted((a, b) => a.activateTime.getTime() - b.activateTime.getTime()),
    isSigningKeyGood: async (projectId, kid) => {
      const key = find(projectId, kid);
      return key !== undefined && key.revocation === undefined;
    },
    findSigningKey: async (projectId, kid) => {
      asked++;
      return find(projectId, kid);
    },
    listSigningKeys: async (projectId) => stored.filter((key) => key.projectId === projectId).toReversed(),
    addFirstSigningKey: async (key) => {
      if (last(key.projectId) === undefined) stored.push(key);
    },
    addNextSigningKey: async (next) => {
      const signing = last(next.projectId);
      if (signing === undefined || signing.activateTime > next.createTime) return;
      change(signing.kid, { retireTime: next.activateTime });
      stored.push(next);
    },
    keysSealedOtherwise: async (masterKeyId, now, limit) =>
      stored
        .filter((key) => key.masterKeyId !== masterKeyId && key.revocation === undefined)
        .filter(({ retireTime }) => retireTime === undefined || retireTime > now)
        .slice(0, limit),
    resealSigningKey: async ({ kid, sealedPrivateKey, masterKeyId }, before) => {
      if (stored.find((key) => key.kid === kid)?.masterKeyId === before)
        change(kid, { sealedPrivateKey, masterKeyId });
    },
  };
}
