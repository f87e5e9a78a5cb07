import { sql } from "kysely";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { withDatabaseErrors } from "../../../src/storage/connection/database-errors.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { connectedClient, holding } from "../../support/postgres/operator.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import {
  memberId,
  orderOf,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

const database = await createTestDatabase();
afterAll(() => database.drop());
const admin = await connectedClient(database.url);

function open(limits: Parameters<typeof openStore>[1] = {}, url = database.url): OpenStore {
  const opened = openStore(url, limits);
  onTestFinished(() => opened.close());
  return opened;
}

async function settingsOf({ db }: OpenStore): Promise<unknown> {
  const { rows } = await sql`
    select current_setting('synchronous_commit') as commit, current_setting('transaction_isolation') as isolation`.execute(
    db,
  );
  return rows[0];
}

/** Statement that blocks revocations in a project. */
const lockOn = ({ id }: Project) => `select from project_revisions where project_id = '${id}' for update`;

async function terminateWaiting(): Promise<void> {
  await vi.waitUntil(async () => {
    const { rowCount } = await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'sessiond' and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  }, patience);
}

test.for([
  ["off", "on"],
  ["local", "on"],
  ["remote_write", "on"],
  ["on", "on"],
  ["remote_apply", "remote_apply"],
] as const)(
  "if the database commits with %s by default, the store commits with %s",
  async ([byDefault, used]) => {
    const name = new URL(database.url).pathname.slice(1);
    onTestFinished(async () => void (await admin.query(`alter database ${name} reset all`)));
    await admin.query(`alter database ${name} set synchronous_commit = ${byDefault}`);
    await admin.query(`alter database ${name} set default_transaction_isolation = 'repeatable read'`);
    expect(await settingsOf(open())).toEqual({ commit: used, isolation: "read committed" });
  },
);

test("a connection that breaks in use fails its caller alone, and the next one works", async () => {
  const opened = open({ maxConnections: 1 });
  const { store, connectionErrors } = opened;
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  const pid = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(opened.db);
  const sleeping = sql`select pg_sleep(60)`.execute(opened.db).catch((error: unknown) => error);
  await vi.waitUntil(async () => {
    const { rowCount } = await admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'",
      [pid.rows[0]?.pid],
    );
    return rowCount === 1;
  }, patience);
  expect(await sleeping).toBeInstanceOf(Error);
  await vi.waitUntil(() => connectionErrors.length === 1, patience);
  expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
  expect(await settingsOf(opened)).toMatchObject({ commit: "on" });
});

test("a revocation whose connection breaks in its transaction records nothing and fails with DATABASE_UNAVAILABLE", async () => {
  const { store } = open();
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  await holding(admin, `select from sessions where id = '${session.id}' for update`, async () => {
    const revoking = revokeTarget(store, project, { scope: "session", id: session.id });
    revoking.catch(() => undefined);
    await terminateWaiting();
    await expect(revoking).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
  });
  expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
  expect(await revokeTarget(store, project, { scope: "session", id: session.id })).toMatchObject({
    revision: 1,
  });
});

test("a statement that takes too long fails with DATABASE_UNAVAILABLE", async () => {
  const { store } = open({ statementTimeoutMs: 1000 });
  const project = await storedProject(store);
  await holding(admin, lockOn(project), async () => {
    const revoking = revokeTarget(store, project, { scope: "project" });
    await expect(revoking).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
  });
  expect(await revokeTarget(store, project, { scope: "project" })).toMatchObject({
    revision: 1,
  });
});

test("without a statement timeout, a connection may stay silent longer than the connect timeout", async () => {
  const { db } = open({ statementTimeoutMs: 0, connectTimeoutMs: 1000 });
  await expect(sql`select pg_sleep(1.5)`.execute(db)).resolves.toBeDefined();
});

test("a process that stalls in a transaction fails with DATABASE_UNAVAILABLE, and then continues", async () => {
  const opened = open({ maxConnections: 1 });
  const { db, connectionErrors } = opened;
  const late = db.transaction().execute(async (transaction) => {
    await sql`set local idle_in_transaction_session_timeout = 10`.execute(transaction);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    await sql`select 1`.execute(transaction);
  });
  await expect(withDatabaseErrors(() => late)).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
  expect(connectionErrors).not.toEqual([]);
  expect(await settingsOf(opened)).toMatchObject({ commit: "on" });
});

test("counted revocations that wait for their project leave connections to others", async () => {
  const { store } = open({ maxConnections: 3 });
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  const order = orderOf(project, { scope: "project" }, { count: true });
  const { waiting } = await holding(admin, lockOn(project), async () => {
    const revoking = Array.from({ length: 10 }, () => store.revocations.revoke(order));
    expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
    return { waiting: Promise.all(revoking) };
  });
  const receipts = await waiting;
  expect(new Set(receipts.map((receipt) => receipt?.revision))).toEqual(
    new Set(Array.from({ length: 10 }, (_, i) => i + 1)),
  );
  expect(receipts.find((receipt) => receipt?.revision === 1)).toMatchObject({ revokedCount: 1 });
  expect(await store.revocations.revoke(order)).toMatchObject({ revokedCount: 0 });
});

test("counting leaves connections to others, however many count and however long it takes", async () => {
  const { store } = open({ maxConnections: 4 });
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  // A count reads the sessions, so it waits for the table lock.
  const lock = "lock table session_tokens, cutoffs in access exclusive mode";
  const order = orderOf(project, { scope: "member", id: session.memberId }, { count: true });
  const { waiting } = await holding(admin, lock, async () => {
    const revoking = Array.from({ length: 10 }, () => store.revocations.revoke(order));
    expect(await store.projects.findProject(project.id)).toEqual(project);
    return { waiting: Promise.all(revoking) };
  });
  // The first count is not smaller than the others.
  expect((await waiting).find((receipt) => receipt?.revision === 1)).toMatchObject({ revokedCount: 1 });
});

test("connections that break before they are ready cost no place in the pool", async () => {
  const relay = await startRelay(database.url);
  onTestFinished(() => relay.close());
  const { store } = open({ maxConnections: 2 }, relay.url);
  const project = await storedProject(store);
  relay.breakWhenReady();
  for (let i = 0; i < 6; i++) {
    await expect(store.projects.findProject(project.id)).rejects.toMatchObject({
      reason: "DATABASE_UNAVAILABLE",
    });
  }
  relay.mend();
  expect(await store.projects.findProject(project.id)).toEqual(project);
});

test("a closed port fails with DATABASE_UNAVAILABLE", async () => {
  const relay = await startRelay(database.url);
  await relay.close();
  await expect(open({}, relay.url).store.ping()).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
});

test("a silent database fails with DATABASE_UNAVAILABLE, and the store works when it is back", async () => {
  const relay = await startRelay(database.url);
  onTestFinished(() => relay.close());
  // Long enough for a busy machine to connect and answer.
  const { store } = open({ maxConnections: 2, connectTimeoutMs: 2000, statementTimeoutMs: 1000 }, relay.url);
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  relay.fallSilent();
  const calls = [
    store.sessions.findSession(project.id, session.id),
    revokeTarget(store, project, { scope: "member", id: memberId("ada") }),
    store.projects.findProject(project.id),
    store.ping(),
  ];
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DATABASE_UNAVAILABLE" } });
  }
  relay.mend();
  expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
});

test("a ping does not wait for a connection if another query succeeds", async () => {
  const { store } = open({ maxConnections: 1 });
  const project = await storedProject(store);
  const order: string[] = [];
  const line = Array.from({ length: 50 }, () =>
    store.projects.findProject(project.id).then(() => void order.push("found")),
  );
  const ping = store.ping().then(() => void order.push("pinged"));
  await Promise.all([ping, ...line]);
  expect(order.indexOf("pinged")).toBeLessThan(5);
});
