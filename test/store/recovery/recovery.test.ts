import { expect, test } from "vitest";
import { masterKeyOf } from "../../../src/domain/keys/sealing.ts";
import { loadPrivateKey } from "../../../src/domain/keys/key-material.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import { historyOf, logOf, recoverAt, storeOfTest, usedProject } from "../../support/fixtures/recovering.ts";
import { day, purgeAt, retention } from "../../support/fixtures/purging.ts";
import {
  disableProject,
  hour,
  memberId,
  must,
  newRequest,
  newSession,
  revokeTarget,
  start,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";

const gap = 2 ** 40;
const masterKey = Buffer.alloc(32, "recovery");

test("a project starts a new history, which begins with the end of all sessions and of all signing keys", async () => {
  const { store, url } = await storeOfTest();
  const { project, active, revoked } = await usedProject(store);
  const before = await historyOf(url, project.id);
  const recovery = must(await recoverAt(url));
  expect(recovery.finishTime).toBeInstanceOf(Date);

  const history = await historyOf(url, project.id);
  expect(history).toMatchObject({ start_revision: 1 + gap, revision: 4 + gap });
  expect(new Set([history.start_id, history.revision_id, before.start_id, before.revision_id]).size).toBe(4);

  const log = await logOf(store, project);
  expect(log.map(({ revision, scope, targetId }) => [revision, scope, targetId])).toEqual([
    [1, "session", revoked.id],
    [2 + gap, "project", project.id],
    [3 + gap, "signing_key", "active"],
    [4 + gap, "signing_key", "next"],
  ]);
  const details = { actor: "operator", cause: "administration", reason: "recovered from a backup" };
  expect(log.slice(1).map(({ actor, cause, reason }) => ({ actor, cause, reason }))).toEqual(
    Array.from({ length: 3 }, () => details),
  );
  const found = must(await store.sessions.findSession(project.id, active.id));
  expect(found.revocation).toMatchObject({ revision: 2 + gap, scope: "project", ...details });
  const earlier = must(await store.sessions.findSession(project.id, revoked.id));
  expect(earlier.revocation).toMatchObject({ revision: 1, actor: "service/test" });
});

test("revocations matter for as long as the JWTs of any policy that was lost", async () => {
  const { store, url } = await storeOfTest();
  const { project } = await usedProject(store);
  const time = Date.now();
  await recoverAt(url);
  const [, cutoff, key] = await logOf(store, project);
  expect(must(cutoff).relevantUntil.getTime()).toBeGreaterThan(time + hour);
  expect(must(key).relevantUntil.getTime()).toBeGreaterThan(time + day - hour);
});

test("every key is revoked, retired ones too, and a new one signs at once if the master key is known", async () => {
  const { store, url } = await storeOfTest();
  const { project } = await usedProject(store, { policy: { ...defaultPolicy, signatureAlgorithm: "EdDSA" } });
  const unused = await storedProject(store);
  const disabled = await usedProject(store);
  await disableProject(store, disabled.project, start);
  await recoverAt(url, { masterKey });

  const keys = await store.signingKeys.listSigningKeys(project.id);
  const [added, ...others] = keys;
  expect(others.map(({ kid, revocation }) => [kid, revocation?.revision])).toEqual([
    ["next", 4 + gap],
    ["active", 3 + gap],
  ]);
  expect(must(added)).toMatchObject({ algorithm: "EdDSA", revocation: undefined, retireTime: undefined });
  expect(loadPrivateKey(must(added), [masterKeyOf(masterKey)]).kid).toBe(must(added).kid);
  const schedule = await store.signingKeys.signingSchedule(project.id, new Date());
  expect(schedule.map(({ kid }) => kid)).toEqual([must(added).kid]);

  expect(await store.signingKeys.listSigningKeys(unused.id)).toEqual([]);
  const revoked = await store.signingKeys.listSigningKeys(disabled.project.id);
  expect(revoked.map(({ revocation }) => revocation !== undefined)).toEqual([true, true]);
});

test("a repeated creation gets no session of the backup", async () => {
  const { store, url } = await storeOfTest();
  const project = await storedProject(store);
  const request = newRequest();
  const create = () => {
    const draft = newSession(project);
    return store.sessions.createSessionOnce(draft, hashSecret(draft.id), request);
  };
  await create();
  expect(await create()).toHaveProperty("request");
  await recoverAt(url);
  expect(await create()).toMatchObject({ createdRevision: 1 + gap, revocation: undefined });
});

test("--keep-sessions revokes only signing keys", async () => {
  const { store, url } = await storeOfTest();
  const { project, active } = await usedProject(store);
  const unused = await storedProject(store);
  await recoverAt(url, { keepSessions: true });
  expect(must(await store.sessions.findSession(project.id, active.id)).revocation).toBeUndefined();
  expect((await logOf(store, project)).map(({ scope }) => scope)).toEqual([
    "session",
    "signing_key",
    "signing_key",
  ]);
  const { start_id, start_revision, ...head } = await historyOf(url, unused.id);
  expect({ start_id, start_revision }).toEqual({ start_id: head.revision_id, start_revision: gap });
  expect(head.revision).toBe(gap);
});

test("revocations and logins while it runs are neither lost nor refused", async () => {
  const { store, url } = await storeOfTest();
  const project = await storedProject(store);
  const members = Array.from({ length: 20 }, (_, i) => memberId(`member-${i}`));
  const receipts = await Promise.all([
    ...members.map((id) => revokeTarget(store, project, { scope: "member", id }, { time: new Date() })),
    recoverAt(url),
    ...members.map((id) => revokeTarget(store, project, { scope: "member", id }, { time: new Date() })),
  ]);
  expect(receipts).not.toContain(undefined);
  const log = await logOf(store, project);
  const revisions = log.map(({ revision }) => revision);
  expect(log).toHaveLength(41);
  expect(new Set(revisions.map((revision) => revision % gap)).size).toBe(41);
  const { session } = await storedSession(store, project);
  expect(session.createdRevision).toBe(revisions.at(-1));
  expect(must(await store.sessions.findSession(project.id, session.id)).revocation).toBeUndefined();
});

test("a dry run changes nothing", async () => {
  const { store, url } = await storeOfTest();
  const { project } = await usedProject(store);
  const before = await historyOf(url, project.id);
  const seen: string[] = [];
  const onProject = async (found: { project: Project; goodKeys: number }) =>
    void seen.push(`${found.project.id} ${found.goodKeys}`);
  expect(await recoverAt(url, { dryRun: true, onProject })).toBeUndefined();
  expect(seen).toEqual([`${project.id} 2`]);
  expect(await historyOf(url, project.id)).toEqual(before);
});

test("the purge deletes from both histories", async () => {
  const { store, url, db } = await storeOfTest();
  const { project, active, revoked } = await usedProject(store);
  await recoverAt(url);
  await revokeTarget(store, project, { scope: "member", id: memberId("bob") }, { time: new Date() });
  const later = new Date(Date.now() + retention + 3 * day);
  await purgeAt(db, later);
  for (const { id } of [active, revoked]) {
    expect(await store.sessions.findSession(project.id, id)).toBeUndefined();
  }
  const left = await logOf(store, project);
  expect(left.map(({ revision }) => revision).every((revision) => revision >= 5 + gap)).toBe(true);
  const { revision } = must(await revokeTarget(store, project, { scope: "project" }, { time: later }));
  expect(revision).toBe(6 + gap);
});
