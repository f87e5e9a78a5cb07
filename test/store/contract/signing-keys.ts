import { randomBytes } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { StoredSigningKey } from "../../../src/domain/keys/signing-key.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { at, must, orderOf, revokeTarget, storedProject } from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Signing keys. */
export function signingKeyContract(replicas: Replicas): void {
  const { revoke, storeOf } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const newKey = (kid: string, create = 0, activate = create): StoredSigningKey => ({
    projectId: project.id,
    kid,
    algorithm: "ES256",
    publicJwk: { kty: "EC", kid },
    sealedPrivateKey: randomBytes(100),
    masterKeyId: "a master key",
    createTime: at(create),
    activateTime: at(activate),
    retireTime: undefined,
    revocation: undefined,
  });
  const line = async (ms: number) =>
    (await replicas.other.signingKeys.signingSchedule(project.id, at(ms))).map(({ kid }) => kid);
  const timesOf = async (kid: string) => {
    const key = must(await store.signingKeys.findSigningKey(project.id, kid));
    return [key.activateTime, key.retireTime];
  };
  const refuse = (kid: string, ms: number) => revoke({ scope: "signing_key", id: kid }, { time: at(ms) });

  test("a new project has no key", async () => {
    expect(await line(0)).toEqual([]);
    expect(await store.signingKeys.listSigningKeys(project.id)).toEqual([]);
    const key = newKey("first");
    await store.signingKeys.addFirstSigningKey(key);
    expect(await line(0)).toEqual(["first"]);
    expect(await store.signingKeys.listSigningKeys(project.id)).toEqual([key]);
    expect(await store.signingKeys.findSigningKey(project.id, "first")).toEqual(key);
    expect(await store.signingKeys.findSigningKey(project.id, "second")).toBeUndefined();
    expect(await store.signingKeys.isSigningKeyGood(project.id, "first")).toBe(true);
    expect(await store.signingKeys.isSigningKeyGood(project.id, "second")).toBe(false);
  });

  test("concurrent first keys result in one", async () => {
    const keys = Array.from({ length: 10 }, (_, i) => newKey(`key-${i}`));
    await Promise.all(keys.map((key, i) => storeOf(i).signingKeys.addFirstSigningKey(key)));
    const [stored, ...others] = await store.signingKeys.listSigningKeys(project.id);
    expect(others).toEqual([]);
    expect(keys).toContainEqual(stored);
  });

  test("does not find a key of another project", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("mine"));
    const foreign = await storedProject(store);
    expect(await store.signingKeys.findSigningKey(foreign.id, "mine")).toBeUndefined();
    expect(await store.signingKeys.isSigningKeyGood(foreign.id, "mine")).toBe(false);
    expect(await store.signingKeys.signingSchedule(foreign.id, at(0))).toEqual([]);
    expect(await store.signingKeys.listSigningKeys(foreign.id)).toEqual([]);
  });

  test("concurrent look-ups get the keys of their own project and time", async () => {
    const other = await storedProject(store);
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    await store.signingKeys.addFirstSigningKey({ ...newKey("a"), projectId: other.id });
    await revokeTarget(store, other, { scope: "signing_key", id: "a" }, { time: at(1) });
    const lines = await Promise.all(
      [at(0), at(19), at(20)].flatMap((now) => [
        store.signingKeys.signingSchedule(project.id, now),
        store.signingKeys.signingSchedule(other.id, now),
      ]),
    );
    expect(lines.map((keys) => keys.map(({ kid }) => kid))).toEqual([
      ["a", "b"],
      [],
      ["a", "b"],
      [],
      ["b"],
      [],
    ]);
    const good = await Promise.all(
      [project, other].flatMap(({ id }) =>
        ["a", "b"].map((kid) => store.signingKeys.isSigningKeyGood(id, kid)),
      ),
    );
    expect(good).toEqual([true, true, false, false]);
  });

  test("the next key signs from the end of the one before", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    expect(await timesOf("a")).toEqual([at(0), at(20)]);
    expect(await timesOf("b")).toEqual([at(20), undefined]);
    await store.signingKeys.addNextSigningKey(newKey("too early", 19, 29));
    await store.signingKeys.addNextSigningKey(newKey("c", 20, 30));
    expect(await line(25)).toEqual(["b", "c"]);
    expect((await store.signingKeys.listSigningKeys(project.id)).map(({ kid }) => kid)).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  test("concurrent next keys result in one", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    const keys = Array.from({ length: 10 }, (_, i) => newKey(`key-${i}`, 5, 10 + i));
    await Promise.all(keys.map((key, i) => storeOf(i).signingKeys.addNextSigningKey(key)));
    expect(await store.signingKeys.listSigningKeys(project.id)).toHaveLength(2);
    const [a, next] = await store.signingKeys.signingSchedule(project.id, at(0));
    expect(a?.retireTime).toEqual(next?.activateTime);
  });

  test("adds no next key without a first", async () => {
    await store.signingKeys.addNextSigningKey(newKey("a"));
    expect(await store.signingKeys.listSigningKeys(project.id)).toEqual([]);
  });

  test("a revoked key is refused on every replica, and takes one revision", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await revoke({ scope: "project" });
    const receipt = await refuse("a", 5);
    expect(receipt).toEqual({ revision: 2, time: at(5), revokedCount: undefined });
    expect(await replicas.other.signingKeys.isSigningKeyGood(project.id, "a")).toBe(false);
    const { revocation } = must(await replicas.other.signingKeys.findSigningKey(project.id, "a"));
    expect(revocation).toEqual({ revision: 2, time: at(5) });
    expect(await refuse("a", 9)).toEqual(receipt);
    const { revocations, head } = await store.revocations.readRevocations(project.id, 1, 10);
    expect(head).toBe(2);
    expect(revocations).toMatchObject([{ revision: 2, scope: "signing_key", targetId: "a", time: at(5) }]);
  });

  test("concurrent revocations of a key return the same receipt", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    const target = { scope: "signing_key", id: "a" } as const;
    const receipts = await Promise.all(
      Array.from({ length: 8 }, (_, i) => revoke(target, { time: at(i) }, storeOf(i))),
    );
    expect(receipts).toEqual(receipts.map(() => receipts[0]));
    expect(receipts[0]?.revision).toBe(1);
  });

  test("an unknown key, or one of another project, cannot be revoked", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    const foreign = await storedProject(store);
    expect(await refuse("b", 0)).toBeUndefined();
    expect(await revokeTarget(store, foreign, { scope: "signing_key", id: "a" })).toBeUndefined();
    expect(await store.signingKeys.isSigningKeyGood(project.id, "a")).toBe(true);
  });

  test("if the signing key is revoked, the next one signs at once", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    await refuse("a", 12);
    expect(await timesOf("a")).toEqual([at(0), at(12)]);
    expect(await timesOf("b")).toEqual([at(12), undefined]);
    await store.signingKeys.addNextSigningKey(newKey("c", 13, 23));
    expect(await line(13)).toEqual(["b", "c"]);
  });

  test("if the next key is revoked, the signing key stays", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    await refuse("b", 12);
    expect(await timesOf("a")).toEqual([at(0), undefined]);
    expect(await line(30)).toEqual(["a"]);
    await store.signingKeys.addNextSigningKey(newKey("c", 30, 40));
    expect(await line(30)).toEqual(["a", "c"]);
  });

  test("if a retired key is revoked, the others do not change", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    await refuse("a", 30);
    expect(await timesOf("a")).toEqual([at(0), at(20)]);
    expect(await timesOf("b")).toEqual([at(20), undefined]);
  });

  test("if all keys are revoked, another first key can be added", async () => {
    await store.signingKeys.addFirstSigningKey(newKey("a"));
    await store.signingKeys.addNextSigningKey(newKey("b", 10, 20));
    await Promise.all([refuse("a", 12), refuse("b", 12)]);
    expect(await line(12)).toEqual([]);
    await store.signingKeys.addFirstSigningKey(newKey("c", 12));
    expect(await line(12)).toEqual(["c"]);
  });

  test("a concurrent rotation and revocation leave no time without a key", async () => {
    const race = async (round: number) => {
      const racing = await storedProject(store);
      const { id } = racing;
      await store.signingKeys.addFirstSigningKey({ ...newKey("a"), projectId: id });
      const order = orderOf(racing, { scope: "signing_key", id: "a" }, { time: at(12) });
      const rotation = { ...newKey("b", 12, 20), projectId: id };
      const calls = [
        () => replicas.other.signingKeys.addNextSigningKey(rotation),
        () => store.revocations.revoke(order),
      ];
      await Promise.all((round % 2 ? calls : calls.toReversed()).map((call) => call()));
      // Either the next key came first and signs now, or it did not come and the line is free for a first one.
      const left = await store.signingKeys.signingSchedule(id, at(12));
      expect([[], [{ kid: "b", activateTime: at(12), retireTime: undefined }]]).toContainEqual(left);
    };
    await Promise.all(Array.from({ length: 20 }, (_, round) => race(round)));
  });

  test("finds keys sealed with another master key while they may sign, and reseals each once", async () => {
    const masterKeyId = `master-${project.id}`;
    await store.signingKeys.addFirstSigningKey({ ...newKey("retired"), masterKeyId });
    await store.signingKeys.addNextSigningKey({ ...newKey("a", 1, 2), masterKeyId });
    await store.signingKeys.addNextSigningKey({ ...newKey("b", 10, 20), masterKeyId: "new" });
    const mine = async () => {
      const keys = await store.signingKeys.keysNotWrappedWith("new", at(10), 1000);
      return keys.filter(({ projectId }) => projectId === project.id);
    };
    expect((await mine()).map(({ kid }) => kid)).toEqual(["a"]);
    const key = must((await mine())[0]);
    const resealed = { ...key, masterKeyId: "new", sealedPrivateKey: Buffer.from("resealed") };
    await store.signingKeys.rewrapSigningKey(resealed, masterKeyId);
    await store.signingKeys.rewrapSigningKey(
      { ...resealed, sealedPrivateKey: Buffer.from("late") },
      masterKeyId,
    );
    expect(await store.signingKeys.findSigningKey(project.id, "a")).toEqual(resealed);
    expect(await mine()).toEqual([]);
  });
}
