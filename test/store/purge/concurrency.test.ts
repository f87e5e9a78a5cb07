import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { purgeLog } from "../../../src/storage/purge/log-batch.ts";
import { firstSession, purgeSessions } from "../../../src/storage/purge/session-batch.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { day, emptyTables, purgeAt, retention, watchOnce } from "../../support/fixtures/purging.ts";
import {
  at,
  hour,
  memberId,
  must,
  revokeTarget,
  sessionQuery,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { useLocks } from "../../support/postgres/use-locks.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
const { hold, observe, waiters } = useLocks(opened);
let other: OpenStore;
let project: Project;

beforeAll(() => void (other = openStore(opened.url)));

beforeEach(async () => {
  await emptyTables(opened.db);
  project = await storedProject(opened.store);
});

afterAll(() => other.close());

const forever = 400 * day;
/** When sessions that ended by `at(0)` are due. */
const due = at(hour + retention + 2 * hour);
const some = <T>(count: number, run: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => run(i)));
const create = (overrides: Parameters<typeof storedSession>[2] = {}) =>
  storedSession(opened.store, project, overrides);

/** A purge that pauses after its first batch until the test continues it. */
function pausedPurge(overrides: Parameters<typeof purgeAt>[2] = {}) {
  const paused = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const rest = async () => {
    paused.resolve();
    await goOn.promise;
  };
  const done = purgeAt(opened.db, due, { batchSize: 5, rest, ...overrides });
  return { paused: paused.promise, goOn: () => goOn.resolve(), done };
}

test("only one of many concurrent purges runs", async () => {
  await some(12, () => create());
  const first = pausedPurge();
  await first.paused;
  const others = await some(6, (i) => purgeAt((i % 2 === 0 ? opened : other).db, due));
  expect(others).toMatchObject(others.map(() => ({ outcome: "not now", sessions: 0 })));
  first.goOn();
  expect(await first.done).toMatchObject({ outcome: "finished", sessions: 12, tokens: 12 });
  expect(await purgeAt(other.db, due, { intervalMs: hour })).toMatchObject({ outcome: "not now" });
  expect(await purgeAt(other.db, due)).toMatchObject({ outcome: "finished" });
});

test("an aborted purge ends after its batch, and the next one continues at once", async () => {
  await some(12, () => create());
  const ending = new AbortController();
  const first = pausedPurge({ signal: ending.signal });
  await first.paused;
  ending.abort();
  first.goOn();
  expect(await first.done).toMatchObject({ outcome: "interrupted", sessions: 5 });
  const next = await purgeAt(other.db, due, { intervalMs: hour });
  expect(next).toMatchObject({ outcome: "finished", sessions: 7 });
});

test("another process takes over an expired lease, and the first one stops purging", async () => {
  await some(12, () => create());
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const first = pausedPurge();
    await first.paused;
    await sql`update leases set until_time = now() - interval '1 second'`.execute(other.db);
    expect(await purgeAt(other.db, due)).toMatchObject({ outcome: "finished", sessions: 7 });
    await some(3, () => create());
    vi.advanceTimersByTime(60_000);
    first.goOn();
    expect(await first.done).toMatchObject({ outcome: "interrupted", sessions: 5 });
  } finally {
    vi.useRealTimers();
  }
  expect(await purgeAt(other.db, due)).toMatchObject({ outcome: "finished", sessions: 3 });
});

test("skips a locked session, and keeps the log until it is purged", async () => {
  const [locked] = await some(3, () => create({ expireTime: at(forever) }));
  for (let i = 0; i < 2; i++) await revokeTarget(opened.store, project, { scope: "project" });
  const { id } = must(locked).session;
  await hold("begin");
  await hold("select from sessions where id = $1 for update", [id]);
  expect(await purgeAt(opened.db, due)).toMatchObject({ sessions: 2, revocations: 0, cutoffs: 0 });
  await hold("rollback");
  expect((await opened.store.sessions.findSession(project.id, id))?.revocation?.revision).toBe(1);
  expect(await purgeAt(opened.db, due)).toMatchObject({ sessions: 1, revocations: 1 });
});

/** Blocks started statements when they read cutoffs, by an advisory lock, until the returned function is called. */
async function gateBeforeCutoffs(): Promise<() => Promise<void>> {
  await hold(`
    create function pass_gate() returns boolean language plpgsql volatile as $$
      begin
        perform pg_advisory_lock_shared(1);
        perform pg_advisory_unlock_shared(1);
        return true;
      end $$`);
  await hold("alter table cutoffs rename to ungated_cutoffs");
  await hold("create view cutoffs as select * from (select pass_gate() as open offset 0) g, ungated_cutoffs");
  await hold("select pg_advisory_lock(1)");
  return async () => {
    await hold("select pg_advisory_unlock_all()");
    await hold("drop view cutoffs");
    await hold("alter table ungated_cutoffs rename to cutoffs");
    await hold("drop function pass_gate");
  };
}

/** Commits to a due session while a purge reads it. */
test.for([
  ["extended", { expireTime: at(1) }, "expire_time = '2060-01-01'"],
  ["accessed", { expireTime: at(forever), idleTimeout: 1 }, "last_access_time = '2060-01-01'"],
  ["revoked", { expireTime: at(1) }, "revoked_revision = 1000"],
] as const)("a session that is %s meanwhile is kept", async ([, overrides, change]) => {
  const { session } = await create(overrides);
  const due = await create({ expireTime: at(1) });
  const removeGate = await gateBeforeCutoffs();
  try {
    const purging = purgeAt(opened.db, at(2 * retention));
    await waiters(1);
    await hold(`update sessions set ${change} where id = $1`, [session.id]);
    await hold("select pg_advisory_unlock(1)");
    expect(await purging).toMatchObject({ outcome: "finished", sessions: 1, tokens: 1 });
  } finally {
    await removeGate();
  }
  const left = await opened.db.selectFrom("sessions").select("id").execute();
  expect(left).toEqual([{ id: session.id }]);
  expect(await opened.store.sessions.findSessionByToken(due.token)).toBeUndefined();
});

test("calls do not wait for an open batch", async () => {
  const { store } = other;
  const dead = await create();
  const alive = await create({ expireTime: at(forever), idleTimeout: forever });
  const victim = await create({ expireTime: at(forever), memberId: memberId("bob") });
  await revokeTarget(store, project, { scope: "member", id: memberId("gone") });
  await revokeTarget(store, project, { scope: "member", id: memberId("kept") });
  const opening = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const held = opened.db.transaction().execute(async (transaction) => {
    const horizon = { projectId: project.id, time: due, revision: 2 };
    const sessions = await purgeSessions(transaction, horizon, firstSession, 100, false);
    const log = await purgeLog(transaction, horizon, 0, 100, due, false);
    opening.resolve();
    await open.promise;
    return { sessions, log };
  });
  await opening.promise;
  const { rows } = await observe<{ relation: string; mode: string }>(
    `select distinct relation::regclass::text as relation, mode from pg_locks
     where relation in ('sessions'::regclass, 'project_revisions'::regclass, 'projects'::regclass)
       and database = (select oid from pg_database where datname = current_database())
       and pid <> pg_backend_pid() order by 1, 2`,
  );
  // RowShareLock is for locked rows, RowExclusiveLock for deleted ones; other tables have no locks.
  expect(rows).toEqual(
    ["AccessShareLock", "RowExclusiveLock", "RowShareLock"].map((mode) => ({ relation: "sessions", mode })),
  );
  const blocked: unknown[] = [];
  const watching = { done: false };
  const watcher = (async () => {
    while (!watching.done) {
      const { rows: waiting } = await observe(
        `select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      blocked.push(...waiting);
      await setImmediate();
    }
  })();
  await store.sessions.findSessionByToken(dead.token);
  await store.sessions.findSessionByToken(alive.token);
  await storedSession(store, project);
  await store.sessions.extendSession(project.id, alive.session.id, at(forever + 1), at(1));
  store.sessions.recordAccess(alive.session, at(day));
  store.sessions.recordAccess(dead.session, at(day));
  await revokeTarget(store, project, { scope: "session", id: victim.session.id });
  await revokeTarget(store, project, { scope: "member", id: memberId("ada"), except: alive.session.id });
  await revokeTarget(store, project, { scope: "project" });
  await store.revocations.readRevocations(project.id, 0, 10);
  watching.done = true;
  await watcher;
  expect(blocked).toEqual([]);
  open.resolve();
  expect(await held).toMatchObject({ sessions: { sessions: 1 }, log: { revocations: 1, cutoffs: 1 } });
  expect((await store.sessions.findSession(project.id, victim.session.id))?.revocation?.revision).toBe(3);
});

test("a session that is purged between the two statements that read it is unknown", async () => {
  const { store } = other;
  const { session, token } = await create({ expireTime: at(forever) });
  const { session: sibling } = await create({ expireTime: at(forever) });
  await revokeTarget(store, project, { scope: "member", id: session.memberId });
  await hold("begin");
  await hold("lock table revocations in access exclusive mode");
  const reading = Promise.all([
    store.sessions.findSession(project.id, session.id),
    store.sessions.findSessionByToken(token),
    store.sessions.listSessions(sessionQuery(project, { memberId: session.memberId })),
    revokeTarget(store, project, { scope: "session", id: session.id }),
  ]);
  await waiters(4);
  await hold("delete from sessions where id = any($1)", [[session.id, sibling.id]]);
  await hold("delete from revocations");
  await hold("commit");
  expect(await reading).toEqual([undefined, undefined, [], undefined]);
});

test("fails for a revoked session without a revocation in the log", async () => {
  const { session } = await create({ expireTime: at(forever) });
  await revokeTarget(opened.store, project, { scope: "session", id: session.id });
  await sql`delete from revocations`.execute(opened.db);
  const found = opened.store.sessions.findSession(project.id, session.id);
  await expect(found).rejects.toThrow("no revocation in the log");
});

test("a watcher that reads while its log is purged gets every revocation, or REVISION_OUT_OF_RANGE", async () => {
  const { store } = opened;
  for (let i = 0; i < 40; i++) {
    await revokeTarget(store, project, { scope: "member", id: memberId(`m${i}`) });
  }
  const { start, revocations } = await store.revocations.readRevocations(project.id, 0, 40);
  const positions = [start, ...revocations];
  const readFrom = async (after: number) => {
    const read = await watchOnce(store, project.id, { after: must(positions[after]) }, due);
    return typeof read === "string" ? read : read.map(({ revision }) => revision).join();
  };
  const answers = new Map<number, Set<string>>();
  await purgeAt(other.db, due, {
    batchSize: 8,
    rest: async () => {
      for (const after of [0, 7, 8, 20, 39, 40]) {
        const said = answers.get(after) ?? new Set();
        answers.set(after, said.add(await readFrom(after)));
      }
    },
  });
  const whole = (after: number) => Array.from({ length: 40 - after }, (_, i) => after + i + 1).join();
  const gone = "REVISION_OUT_OF_RANGE";
  const purged = [0, 7, 8, 20, 39].map((after) => [after, new Set([whole(after), gone])] as const);
  expect(answers).toEqual(new Map([...purged, [40, new Set([""])]]));
});

test("purging while replicas create, extend, access and revoke loses no active session and restores none", async () => {
  const replicas = [opened.store, other.store];
  const storeOf = (i: number) => must(replicas[i % 2]);
  const lives = await some(20, () => create({ expireTime: at(2 * forever), idleTimeout: 2 * forever }));
  const dying = await some(20, () => create({ expireTime: at(2 * forever), memberId: memberId("bob") }));
  await some(60, () => create({ memberId: memberId("dead") }));
  await revokeTarget(opened.store, project, { scope: "member", id: memberId("dead") });
  const progress = { done: false };
  const purging = (async () => {
    const total = { sessions: 0 };
    while (!progress.done) total.sessions += (await purgeAt(other.db, due, { batchSize: 3 })).sessions;
    return total.sessions + (await purgeAt(other.db, due)).sessions;
  })();
  await some(20, async (i) => {
    const [live, dead] = [must(lives[i]).session, must(dying[i]).session];
    await storeOf(i).sessions.extendSession(project.id, live.id, at(3 * forever), due);
    storeOf(i).sessions.recordAccess(live, due);
    await revokeTarget(storeOf(i), project, { scope: "session", id: dead.id }, { time: due });
    await storedSession(storeOf(i), project, { createTime: due, expireTime: at(forever) });
    if (i % 5 !== 0) return;
    await revokeTarget(storeOf(i), project, { scope: "member", id: memberId("dead") }, { time: due });
  });
  progress.done = true;
  expect(await purging).toBe(60);
  const { sessions } = opened.store;
  for (const { session } of lives) {
    expect(await sessions.findSession(project.id, session.id)).toMatchObject({ revocation: undefined });
  }
  for (const { session } of dying) {
    const found = await sessions.findSession(project.id, session.id);
    expect(found?.revocation).toMatchObject({ scope: "session", time: due });
    expect(await sessions.extendSession(project.id, session.id, at(3 * forever), due)).toBeUndefined();
  }
});
