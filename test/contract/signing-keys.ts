import { randomBytes } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import type { StoredSigningKey } from "../../src/domain/key-ring.ts";
import type { Project } from "../../src/domain/project.ts";
import type { Store } from "../../src/domain/store.ts";
import { start, storedProject } from "../support/stored.ts";
import type { Replicas } from "./store-contract.ts";

/** Signing keys. */
export function signingKeyContract(replicas: Replicas): void {
  let store: Store;
  let project: Project;

  beforeEach(async () => {
    store = replicas.one();
    project = await storedProject(store);
  });

  const newKey = (kid: string): StoredSigningKey => ({
    projectId: project.id,
    kid,
    algorithm: "ES256",
    publicJwk: { kty: "EC", kid },
    sealedPrivateKey: randomBytes(100),
    masterKeyId: "a master key",
    createTime: start,
  });

  test("a project has no key until its first", async () => {
    expect(await store.activeSigningKey(project.id)).toBeUndefined();
    expect(await store.signingKeys(project.id)).toEqual([]);
    const key = newKey("first");
    expect(await store.activateFirstSigningKey(key)).toEqual(key);
    expect(await store.activeSigningKey(project.id)).toEqual(key);
    expect(await store.signingKeys(project.id)).toEqual([key]);
    expect(await store.signingKey(project.id, "first")).toEqual(key);
    expect(await store.signingKey(project.id, "second")).toBeUndefined();
  });

  test("all who race for the first key get the same one", async () => {
    const keys = Array.from({ length: 10 }, (_, i) => newKey(`key-${i}`));
    const activated = await Promise.all(
      keys.map((key, i) => (i % 2 ? store : replicas.other()).activateFirstSigningKey(key)),
    );
    expect(keys).toContainEqual(activated[0]);
    expect(activated).toEqual(keys.map(() => activated[0]));
    expect(await store.signingKeys(project.id)).toEqual([activated[0]]);
  });

  test("a key of another project is not found", async () => {
    await store.activateFirstSigningKey(newKey("mine"));
    const foreign = await storedProject(store);
    expect(await store.signingKey(foreign.id, "mine")).toBeUndefined();
    expect(await store.activeSigningKey(foreign.id)).toBeUndefined();
    expect(await store.signingKeys(foreign.id)).toEqual([]);
  });
}
