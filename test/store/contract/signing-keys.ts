import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { StoredSigningKey } from "../../../src/domain/keys/signing-key.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  disableProject,
  must,
  newSigningKey,
  orderOf,
  revokeTarget,
  storedProject,
} from "../../support/fixtures/stored.ts";
import { type Replicas, times } from "./replicas.ts";

/** Signing keys. */
export function signingKeyContract(replicas: Replicas): void {
  const { revoke, storeOf } = replicas;
  let store: PostgresStore;
  let project: Project;
  let keys: PostgresStore["signingKeys"];

  beforeEach(() => {
    ({ store, project } = replicas);
    keys = store.signingKeys;
  });

  const newKey = (kid: string, create = 0, activate = create): StoredSigningKey =>
    newSigningKey(project, kid, create, activate);
  const schedule = async (ms: number) =>
    (await replicas.other.signingKeys.signingSchedule(project.id, at(ms))).map(({ kid }) => kid);
  /** Adds key `a`, and `b` that succeeds it at 20. */
  const addTwoKeys = async () => {
    await keys.addFirstSigningKey(newKey("a"));
    await keys.addNextSigningKey(newKey("b", 10, 20));
  };
  const timesOf = async (kid: string) => {
    const key = must(await keys.findSigningKey(project.id, kid));
    return [key.activateTime, key.retireTime];
  };
  const refuse = (kid: string, ms: number) => revoke({ scope: "signing_key", id: kid }, { time: at(ms) });

  test("a new project has no key", async () => {
    expect(await schedule(0)).toEqual([]);
    expect(await keys.listSigningKeys(project.id)).toEqual([]);
    const key = newKey("first");
    await keys.addFirstSigningKey(key);
    expect(await schedule(0)).toEqual(["first"]);
    expect(await keys.listSigningKeys(project.id)).toEqual([key]);
    expect(await keys.findSigningKey(project.id, "first")).toEqual(key);
    expect(await keys.findSigningKey(project.id, "second")).toBeUndefined();
    expect(await keys.isSigningKeyGood(project.id, "first")).toBe(true);
    expect(await keys.isSigningKeyGood(project.id, "second")).toBe(false);
  });

  test("concurrent first keys result in one", async () => {
    const rivals = Array.from({ length: 10 }, (_, i) => newKey(`key-${i}`));
    await Promise.all(rivals.map((key, i) => storeOf(i).signingKeys.addFirstSigningKey(key)));
    const [stored, ...others] = await keys.listSigningKeys(project.id);
    expect(others).toEqual([]);
    expect(rivals).toContainEqual(stored);
  });

  test("does not find a key of another project", async () => {
    await keys.addFirstSigningKey(newKey("mine"));
    const foreign = await storedProject(store);
    expect(await keys.findSigningKey(foreign.id, "mine")).toBeUndefined();
    expect(await keys.isSigningKeyGood(foreign.id, "mine")).toBe(false);
    expect(await keys.signingSchedule(foreign.id, at(0))).toEqual([]);
    expect(await keys.listSigningKeys(foreign.id)).toEqual([]);
  });

  test("concurrent look-ups get the keys of their own project and time", async () => {
    const other = await storedProject(store);
    await addTwoKeys();
    await keys.addFirstSigningKey({ ...newKey("a"), projectId: other.id });
    await revokeTarget(store, other, { scope: "signing_key", id: "a" }, { time: at(1) });
    const schedules = await Promise.all(
      [project, other].flatMap(({ id }) => [0, 19, 20].map((ms) => keys.signingSchedule(id, at(ms)))),
    );
    const kids = schedules.map((keys) => keys.map(({ kid }) => kid));
    expect(kids).toEqual([["a", "b"], ["a", "b"], ["b"], [], [], []]);
    const good = await Promise.all(
      [project, other].flatMap(({ id }) => ["a", "b"].map((kid) => keys.isSigningKeyGood(id, kid))),
    );
    expect(good).toEqual([true, true, false, false]);
  });

  test("the next key signs from the end of the one before", async () => {
    await addTwoKeys();
    expect(await timesOf("a")).toEqual([at(0), at(20)]);
    expect(await timesOf("b")).toEqual([at(20), undefined]);
    await keys.addNextSigningKey(newKey("too early", 19, 29));
    await keys.addNextSigningKey(newKey("c", 20, 30));
    expect(await schedule(25)).toEqual(["b", "c"]);
    const all = await keys.listSigningKeys(project.id);
    expect(all.map(({ kid }) => kid)).toEqual(["c", "b", "a"]);
  });

  test("pages through the keys newest first, with one row more than a page, also with equal create times", async () => {
    const created = [10, 20, 20, 20, 30].map((ms, i) => newKey(`key-${i}`, ms));
    for (const key of created) {
      await keys.addFirstSigningKey(key);
      await refuse(key.kid, 40);
    }
    const page = async (after: string | undefined, of = project) =>
      (await keys.pageSigningKeys(of.id, { size: 1, after })).map(({ kid }) => kid);
    expect(await page(undefined)).toEqual(["key-4", "key-3"]);
    const seen: string[] = [];
    for (let rest = await page(undefined); rest.length > 0; rest = await page(seen.at(-1))) {
      seen.push(...rest.slice(0, 1));
    }
    expect(seen).toEqual(["key-4", "key-3", "key-2", "key-1", "key-0"]);
    expect(await page(undefined, await storedProject(store))).toEqual([]);
    expect(await page("key-4", await storedProject(store))).toEqual([]);
  });

  test("a disabled project gets no next key, also not by a rotation that runs beside", async () => {
    await keys.addFirstSigningKey(newKey("a"));
    const rotating = (i: number) => storeOf(i).signingKeys.addNextSigningKey(newKey(`b-${i}`, 5, 10));
    const disabling = disableProject(store, project, at(1));
    await Promise.all([...Array.from({ length: 4 }, (_, i) => rotating(i)), disabling]);
    const before = await keys.listSigningKeys(project.id);
    await keys.addNextSigningKey(newKey("late", 20, 30));
    expect(await keys.listSigningKeys(project.id)).toEqual(before);
  });

  test("concurrent next keys result in one", async () => {
    await keys.addFirstSigningKey(newKey("a"));
    const rivals = Array.from({ length: 10 }, (_, i) => newKey(`key-${i}`, 5, 10 + i));
    await Promise.all(rivals.map((key, i) => storeOf(i).signingKeys.addNextSigningKey(key)));
    expect(await keys.listSigningKeys(project.id)).toHaveLength(2);
    const [a, next] = await keys.signingSchedule(project.id, at(0));
    expect(a?.retireTime).toEqual(next?.activateTime);
  });

  test("adds no next key without a first", async () => {
    await keys.addNextSigningKey(newKey("a"));
    expect(await keys.listSigningKeys(project.id)).toEqual([]);
  });

  test("a revoked key is refused on every replica, and takes one revision", async () => {
    await keys.addFirstSigningKey(newKey("a"));
    await revoke({ scope: "project" });
    const receipt = await refuse("a", 5);
    expect(receipt).toEqual({ revision: 2, time: at(5), revokedCount: undefined });
    expect(await replicas.other.signingKeys.isSigningKeyGood(project.id, "a")).toBe(false);
    const { revocation } = must(await replicas.other.signingKeys.findSigningKey(project.id, "a"));
    expect(revocation).toEqual({ revision: 2, time: at(5) });
    expect(await refuse("a", 9)).toEqual(receipt);
    const { revocations, head } = await store.revocations.readRevocations(project.id, 1, 10);
    expect(head.revision).toBe(2);
    expect(revocations).toMatchObject([{ revision: 2, scope: "signing_key", targetId: "a", time: at(5) }]);
  });

  test("concurrent revocations of a key return the same receipt", async () => {
    await keys.addFirstSigningKey(newKey("a"));
    const target = { scope: "signing_key", id: "a" } as const;
    const receipts = await times(8, (i) => revoke(target, { time: at(i) }, storeOf(i)));
    expect(receipts).toEqual(receipts.map(() => receipts[0]));
    expect(receipts[0]?.revision).toBe(1);
  });

  test("an unknown key, or one of another project, cannot be revoked", async () => {
    await keys.addFirstSigningKey(newKey("a"));
    const foreign = await storedProject(store);
    expect(await refuse("b", 0)).toBeUndefined();
    expect(await revokeTarget(store, foreign, { scope: "signing_key", id: "a" })).toBeUndefined();
    expect(await keys.isSigningKeyGood(project.id, "a")).toBe(true);
  });

  test("if the signing key is revoked, the next one signs at once", async () => {
    await addTwoKeys();
    await refuse("a", 12);
    expect(await timesOf("a")).toEqual([at(0), at(12)]);
    expect(await timesOf("b")).toEqual([at(12), undefined]);
    await keys.addNextSigningKey(newKey("c", 13, 23));
    expect(await schedule(13)).toEqual(["b", "c"]);
  });

  test("if the next key is revoked, the signing key stays", async () => {
    await addTwoKeys();
    await refuse("b", 12);
    expect(await timesOf("a")).toEqual([at(0), undefined]);
    expect(await schedule(30)).toEqual(["a"]);
    await keys.addNextSigningKey(newKey("c", 30, 40));
    expect(await schedule(30)).toEqual(["a", "c"]);
  });

  test("if a retired key is revoked, the others do not change", async () => {
    await addTwoKeys();
    await refuse("a", 30);
    expect(await timesOf("a")).toEqual([at(0), at(20)]);
    expect(await timesOf("b")).toEqual([at(20), undefined]);
  });

  test("if all keys are revoked, another first key can be added", async () => {
    await addTwoKeys();
    await Promise.all([refuse("a", 12), refuse("b", 12)]);
    expect(await schedule(12)).toEqual([]);
    await keys.addFirstSigningKey(newKey("c", 12));
    expect(await schedule(12)).toEqual(["c"]);
  });

  test("a concurrent rotation and revocation leave no time without a key", async () => {
    const race = async (round: number) => {
      const racing = await storedProject(store);
      const { id } = racing;
      await keys.addFirstSigningKey({ ...newKey("a"), projectId: id });
      const order = orderOf(racing, { scope: "signing_key", id: "a" }, { time: at(12) });
      const rotation = { ...newKey("b", 12, 20), projectId: id };
      const calls = [
        () => replicas.other.signingKeys.addNextSigningKey(rotation),
        () => store.revocations.revoke(order),
      ];
      await Promise.all((round % 2 ? calls : calls.toReversed()).map((call) => call()));
      // Either the next key was added first and signs now, or it was not added and a first key can be.
      const left = await keys.signingSchedule(id, at(12));
      expect([[], [{ kid: "b", activateTime: at(12), retireTime: undefined }]]).toContainEqual(left);
    };
    await times(20, race);
  });

  test("finds keys sealed with another master key while they may sign, and rewraps each once", async () => {
    const masterKeyId = `master-${project.id}`;
    await keys.addFirstSigningKey({ ...newKey("retired"), masterKeyId });
    await keys.addNextSigningKey({ ...newKey("a", 1, 2), masterKeyId });
    await keys.addNextSigningKey({ ...newKey("b", 10, 20), masterKeyId: "new" });
    const mine = async () => {
      const found = await keys.keysNotWrappedWith("new", at(10), 1000);
      return found.filter(({ projectId }) => projectId === project.id);
    };
    expect((await mine()).map(({ kid }) => kid)).toEqual(["a"]);
    const key = must((await mine())[0]);
    const rewrapped = { ...key, masterKeyId: "new", sealedPrivateKey: Buffer.from("rewrapped") };
    await keys.rewrapSigningKey(rewrapped, masterKeyId);
    await keys.rewrapSigningKey({ ...rewrapped, sealedPrivateKey: Buffer.from("late") }, masterKeyId);
    expect(await keys.findSigningKey(project.id, "a")).toEqual(rewrapped);
    expect(await mine()).toEqual([]);
  });
}
