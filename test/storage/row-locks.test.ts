import { Client } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Project } from "../../src/domain/project.ts";
import { type OpenStore, openStore } from "../support/open-store.ts";
import { patience } from "../support/patience.ts";
import { at, hour, orderOf, storedProject, storedSession } from "../support/stored.ts";
import { type TestDatabase, createTestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let opened: OpenStore;
/** Holds the lock on a row for as long as a test wants. */
let holder: Client;
let observer: Client;
let project: Project;

beforeAll(async () => {
  database = await createTestDatabase();
  opened = openStore(database.url);
  holder = new Client({ connectionString: database.url });
  observer = new Client({ connectionString: database.url });
  await Promise.all([holder.connect(), observer.connect()]);
});

beforeEach(async () => {
  project = await storedProject(opened.store);
});

afterAll(async () => {
  await Promise.all([holder.end(), observer.end(), opened.close()]);
  await database.drop();
});

/** Resolves when so many of the store's statements wait for a lock. */
async function waiters(count: number): Promise<void> {
  await vi.waitUntil(async () => {
    const { rowCount } = await observer.query(
      `select from pg_stat_activity where datname = current_database()
         and application_name = 'sessiond' and wait_event_type = 'Lock'`,
    );
    return rowCount === count;
  }, patience);
}

test("an extension that began before a revocation ended does not answer with a live session", async () => {
  const { store } = opened;
  const { session } = await storedSession(store, project);
  await holder.query("begin");
  await holder.query("select from sessions where id = $1 for update", [session.id]);
  const revoking = store.revoke(orderOf(project, { scope: "session", id: session.id }));
  await waiters(1);
  const extending = store.extendSession(project.id, session.id, at(2 * hour), at(1));
  await waiters(2);
  await holder.query("rollback");
  expect(await revoking).toMatchObject({ revision: 1 });
  expect(await extending).toBeUndefined();
  expect((await store.findSession(project.id, session.id))?.expireTime).toEqual(session.expireTime);
});

test("an access waits for no lock: others are noted, and neither look-up nor cutoff is held up", async () => {
  const { store, lostAccesses } = opened;
  const [locked, free] = [await storedSession(store, project), await storedSession(store, project)];
  await holder.query("begin");
  await holder.query("select from sessions where id = $1 for update", [locked.session.id]);
  store.recordAccess(locked.session, at(5));
  store.recordAccess(free.session, at(5));
  await vi.waitUntil(
    async () =>
      (await store.findSession(project.id, free.session.id))?.lastAccessTime.getTime() === at(5).getTime(),
    patience,
  );
  expect(await store.findSession(project.id, locked.session.id)).toEqual(locked.session);
  expect(await store.revoke(orderOf(project, { scope: "project" }))).toMatchObject({ revision: 1 });
  await holder.query("rollback");
  expect(lostAccesses).toEqual([]);
});
