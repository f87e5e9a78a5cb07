import { sql } from "kysely";
import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { CutoffTarget } from "../../../src/domain/revocation.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { day, emptyTables, purgeAt, retention } from "../../support/fixtures/purging.ts";
import {
  at,
  disableProject,
  hour,
  memberId,
  must,
  organizationId,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
let project: Project;

beforeEach(async () => {
  await emptyTables(opened.db);
  project = await storedProject(opened.store);
});

const forever = 400 * day;
const create = async (overrides: Parameters<typeof storedSession>[2] = {}) =>
  (await storedSession(opened.store, project, overrides)).session;
const revoke = (target: Session | CutoffTarget, time = at(0)) => {
  const named = "memberId" in target ? ({ scope: "session", id: target.id } as const) : target;
  return revokeTarget(opened.store, project, named, { time });
};
const isThere = async ({ projectId, id }: Session) =>
  (await opened.store.sessions.findSession(projectId, id)) !== undefined;
const cutoffsLeft = async () => {
  const rows = await opened.db.selectFrom("cutoffs").select(["scope", "target_id"]).execute();
  return rows.map(({ scope, target_id }) => `${scope} ${target_id}`);
};
const logged = async () => {
  const { revocations } = await opened.store.revocations.readRevocations(project.id, 0, 100);
  return revocations.map(({ revision }) => revision);
};
const find = ({ id }: Session) => opened.store.sessions.findSession(project.id, id);

test("purges only sessions that ended before the retention, with their tokens", async () => {
  const ends = { expireTime: at(forever) };
  const expired = await storedSession(opened.store, project, { expireTime: at(1000) });
  const expiring = await create({ expireTime: at(1001) });
  const idle = await create({ ...ends, idleTimeout: 1000 });
  const idling = await create({ ...ends, idleTimeout: 1001 });
  const alive = await create(ends);
  const later = await create({ ...ends, createTime: at(5 * day), lastAccessTime: at(5 * day) });
  expect(await purgeAt(opened.db, at(1000 + retention - 1))).toMatchObject({ sessions: 0, tokens: 0 });
  const purged = await purgeAt(opened.db, at(1000 + retention));
  expect(purged).toEqual({ outcome: "finished", sessions: 2, tokens: 2, revocations: 0, cutoffs: 0 });
  const all = [expired.session, idle, expiring, idling, alive, later];
  expect(await Promise.all(all.map(isThere))).toEqual([false, false, true, true, true, true]);
  expect(await opened.store.sessions.findSessionByToken(expired.token)).toBeUndefined();
  expect(await revoke(expired.session)).toBeUndefined();
  const { rows } = await sql`select from session_tokens where project_id = ${project.id}`.execute(opened.db);
  expect(rows).toHaveLength(4);
});

test("keeps revoked sessions of every scope for the retention, and purges them before their revocations", async () => {
  const ends = { expireTime: at(forever) };
  const acme = organizationId("acme");
  const byName = await create({ ...ends, memberId: memberId("bob") });
  const byMember = await create(ends);
  const byOrganization = await create({ ...ends, memberId: memberId("bob"), organizationId: acme });
  await revoke(byName, at(0));
  await revoke({ scope: "member", id: memberId("ada") }, at(1));
  await revoke({ scope: "organization", id: acme }, at(2));
  const byProject = await create({ ...ends, memberId: memberId("cyd") });
  const spared = await create({ ...ends, memberId: memberId("cyd") });
  await revoke({ scope: "project", except: spared.id }, at(3));
  const dead = [byName, byMember, byOrganization, byProject];
  const before = await Promise.all(dead.map(find));
  expect(before.map((session) => session?.revocation?.revision)).toEqual([1, 2, 3, 4]);

  expect(await purgeAt(opened.db, at(retention))).toMatchObject({ sessions: 0, revocations: 0 });
  expect(await Promise.all(dead.map(find))).toEqual(before);

  const purged = await purgeAt(opened.db, at(retention + 2 * hour));
  expect(purged).toEqual({ outcome: "finished", sessions: 4, tokens: 4, revocations: 3, cutoffs: 1 });
  expect(await Promise.all(dead.map(isThere))).toEqual([false, false, false, false]);
  expect(await find(spared)).toMatchObject({ createdRevision: 4, revocation: undefined });
  // Cutoffs of organizations and projects stay, and end no existing session.
  expect(await cutoffsLeft()).toEqual(["organization acme", `project ${project.id}`]);
});

test("the retention of a session that was revoked after its expiry starts at the revocation", async () => {
  const session = await create();
  await revoke(session, at(5 * day));
  await purgeAt(opened.db, at(retention + 2 * hour));
  expect((await find(session))?.revocation?.time).toEqual(at(5 * day));
  const purged = await purgeAt(opened.db, at(5 * day + retention + 2 * hour));
  expect(purged).toMatchObject({ sessions: 1, revocations: 0 });
});

test("the log loses only its beginning, and watchers that resume before it get REVISION_OUT_OF_RANGE", async () => {
  for (let i = 0; i < 10; i++) await revoke({ scope: "member", id: memberId(`m${i}`) }, at(i * day));
  const purged = await purgeAt(opened.db, at(4 * day + retention + 2 * hour), { batchSize: 2 });
  expect(purged).toMatchObject({ revocations: 4 });
  // The fifth is due too. It is where watchers can resume before the sixth.
  expect(await logged()).toEqual([5, 6, 7, 8, 9, 10]);
  expect(await opened.store.revocations.oldestResumable(project.id)).toMatchObject({ revision: 5 });
  await purgeAt(opened.db, at(forever));
  expect(await logged()).toEqual([10]);
  expect(await opened.store.revocations.oldestResumable(project.id)).toMatchObject({ revision: 10 });
  expect((await revoke({ scope: "project" }, at(forever)))?.revision).toBe(11);
  expect(await logged()).toEqual([10, 11]);
});

test("a revocation dated by a clock that was ahead is kept while it is relevant to JWTs, as are later ones", async () => {
  await revoke({ scope: "member", id: memberId("before") }, at(0));
  await revoke({ scope: "member", id: memberId("ahead") }, at(3 * retention));
  await revoke({ scope: "member", id: memberId("after") }, at(0));
  await purgeAt(opened.db, at(2 * retention), { batchSize: 1 });
  expect(await logged()).toEqual([1, 2, 3]);
  const relevant = await opened.store.revocations.oldestRelevant(project.id, at(2 * retention));
  expect(relevant).toMatchObject({ revision: 1 });
  await purgeAt(opened.db, at(5 * retention));
  expect(await logged()).toEqual([3]);
});

test("a member's cutoff is purged with its revocation, unless an older session exists or the cutoff is newer", async () => {
  const target = (id: string) => ({ scope: "member", id: memberId(id) }) as const;
  await revoke(target("gone"));
  await revoke(target("renewed"));
  // A purge stops at the first revocation that is still relevant, even one dated by a clock far ahead.
  await create({ memberId: memberId("other"), createTime: at(forever), expireTime: at(2 * forever) });
  await create({ memberId: memberId("left"), createTime: at(forever), expireTime: at(2 * forever) });
  await revoke(target("left"));
  await revoke(target("last"));
  await revoke(target("renewed"), at(5 * day));
  const purged = await purgeAt(opened.db, at(2 * hour + retention), { batchSize: 1 });
  expect(purged).toMatchObject({ sessions: 0, revocations: 3, cutoffs: 1 });
  expect((await cutoffsLeft()).toSorted()).toEqual(["member last", "member left", "member renewed"]);
  expect(await opened.store.revocations.countActive(project.id, target("left"), at(retention))).toBe(0);
});

test("a login after the purge is active, and a later cutoff ends it", async () => {
  await create();
  await revoke({ scope: "member", id: memberId("ada") });
  await purgeAt(opened.db, at(forever));
  const again = await create({ createTime: at(forever), expireTime: at(2 * forever) });
  const revisionOf = async () => must(await find(again)).revocation?.revision;
  expect(await revisionOf()).toBeUndefined();
  await revoke({ scope: "member", id: memberId("ada") }, at(forever));
  expect(await revisionOf()).toBe(2);
});

test("a dry run counts what a purge would delete, and deletes nothing", async () => {
  for (let i = 0; i < 7; i++) await create({ memberId: memberId(`m${i}`) });
  await revoke({ scope: "member", id: memberId("m3") });
  await revoke({ scope: "member", id: memberId("m4") });
  await create({ expireTime: at(forever) });
  const time = at(hour + 2 * retention);
  const dry = await purgeAt(opened.db, time, { dryRun: true, batchSize: 3 });
  expect(dry).toEqual({ outcome: "finished", sessions: 7, tokens: 7, revocations: 1, cutoffs: 1 });
  expect(await purgeAt(opened.db, time, { batchSize: 3 })).toEqual(dry);
  expect(await purgeAt(opened.db, time)).toMatchObject({ sessions: 0, revocations: 0 });
});

test("purges every project, disabled or not, each by its own log", async () => {
  const ends = { expireTime: at(forever) };
  const other = await storedProject(opened.store);
  await disableProject(opened.store, other, at(0));
  await revoke({ scope: "project" });
  await revoke({ scope: "project" });
  const { session } = await storedSession(opened.store, other, ends).catch(() => ({ session: undefined }));
  expect(session).toBeUndefined();
  const third = await storedProject(opened.store);
  await storedSession(opened.store, third, ends);
  await disableProject(opened.store, third, at(0));
  const alive = await create(ends);
  expect(await purgeAt(opened.db, at(hour + 2 * retention))).toMatchObject({ sessions: 1, revocations: 1 });
  expect(await isThere(alive)).toBe(true);
});
