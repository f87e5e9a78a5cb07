// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { Client } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { patience } from "../../support/patience.ts";
import { at, hour, revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();

/** Holds a row lock for a test. */
let holder: Client;
let observer: Client;
let project: Project;

beforeAll(async () => {
  holder = new Client({ connectionString: opened.url });
  observer = new Client({ connectionString: opened.url });
  await Promise.all([holder.connect(), observer.connect()]);
});

beforeEach(async () => {
  project = await storedProject(opened.store);
});

afterAll(async () => {
  await Promise.all([holder.end(), observer.end()]);
});

/** Resolves when `count` statements of the store wait for a lock. */
async function waiters(count: number): Promise<void> {
  await vi.waitUntil(async () => {
    const { rowCount } = await observer.query(
      `select from pg_stat_activity where datname = current_database()
         and application_name = 'sessiond' and wait_event_type = 'Lock'`,
    );
    return rowCount === count;
  }, patience);
}

test("a revocation that waits while a session is accessed ends it all the same, and others with it", async () => {
  const { store } = opened;
  const sessions = await Promise.all(Array.from({ length: 3 }, () => storedSession(store, project)));
  const accessed = sessions[0]?.session.id;
  await holder.query("begin");
  await holder.query("update sessions set last_access_time = $2 where id = $1", [accessed, at(1)]);
  const revoking = Promise.all(
    sessions.map(({ session }) => revokeTarget(store, project, { scope: "session", id: session.id })),
  );
  const sparing = revokeTarget(store, project, { scope: "project", except: accessed });
  await waiters(1);
  await holder.query("commit");
  expect(await revoking).toMatchObject([1, 2, 3].map((revision) => ({ revision, revokedCount: 1 })));
  expect(await sparing).toMatchObject({ revision: 4 });
  const found = await Promise.all(
    sessions.map(({ session }) => store.sessions.findSession(project.id, session.id)),
  );
  expect(found.map((session) => session?.revocation?.revision)).toEqual([1, 2, 3]);
  expect(found.map((session) => session?.lastAccessTime)).toEqual([at(1), at(0), at(0)]);
});

test("a revocation that another replica overtook is planned on what that one left", async () => {
  const { store } = opened;
  const [{ session }, other] = [await storedSession(store, project), await storedSession(store, project)];
  await holder.query("begin");
  await holder.query("update project_revisions set revision = 1 where project_id = $1", [project.id]);
  await holder.query("update sessions set revoked_revision = 1 where id = $1", [session.id]);
  await holder.query(
    `insert into revocations (project_id, revision, scope, target_id, revoke_time, cause, reason, actor)
     values ($1, 1, 'session', $2, $3, 'policy', '', 'the other')`,
    [project.id, session.id, at(1)],
  );
  const revoking = Promise.all(
    [session, other.session].map(({ id }) => revokeTarget(store, project, { scope: "session", id })),
  );
  await waiters(1);
  await holder.query("commit");
  expect(await revoking).toEqual([
    { revision: 1, time: at(1), revokedCount: 0 },
    { revision: 2, time: at(0), revokedCount: 1 },
  ]);
  const { revocations } = await store.revocations.readRevocations(project.id, 0, 10);
  expect(revocations.map(({ targetId }) => targetId)).toEqual([session.id, other.session.id]);
});

test("a revocation that waits while a policy makes JWTs longer matters until the longer ones expire", async () => {
  const { store } = opened;
  await holder.query("begin");
  await holder.query("select from projects where id = $1 for update", [project.id]);
  const updating = store.projects.updatePolicy(project.id, { ...project.policy, jwtLifetime: hour });
  await waiters(1);
  const revoking = revokeTarget(store, project, { scope: "project" });
  await waiters(2);
  await holder.query("rollback");
  await Promise.all([updating, revoking]);
  const { revocations } = await store.revocations.readRevocations(project.id, 0, 10);
  expect(revocations).toMatchObject([{ relevantUntil: at(hour + 60_000) }]);
});

test("a policy that the version before made longer counts", async () => {
  const { store } = opened;
  await holder.query("update projects set longest_jwt_lifetime_ms = $2 where id = $1", [project.id, hour]);
  await revokeTarget(store, project, { scope: "project" });
  const { revocations } = await store.revocations.readRevocations(project.id, 0, 10);
  expect(revocations).toMatchObject([{ relevantUntil: at(hour + 60_000) }]);
});

test("an extension that began before a revocation ended does not answer with a live session", async () => {
  const { store } = opened;
  const { session } = await storedSession(store, project);
  await holder.query("begin");
  await holder.query("select from sessions where id = $1 for update", [session.id]);
  const revoking = revokeTarget(store, project, { scope: "session", id: session.id });
  await waiters(1);
  const extending = store.sessions.extendSession(project.id, session.id, at(2 * hour), at(1));
  await waiters(2);
  await holder.query("rollback");
  expect(await revoking).toMatchObject({ revision: 1 });
  expect(await extending).toBeUndefined();
  expect((await store.sessions.findSession(project.id, session.id))?.expireTime).toEqual(session.expireTime);
});

test("an access waits for no lock: others are noted, and neither look-up nor cutoff is held up", async () => {
  const { store, lostAccesses } = opened;
  const [locked, free] = [await storedSession(store, project), await storedSession(store, project)];
  await holder.query("begin");
  await holder.query("select from sessions where id = $1 for update", [locked.session.id]);
  store.sessions.recordAccess(locked.session, at(5));
  store.sessions.recordAccess(free.session, at(5));
  await vi.waitUntil(
    async () =>
      (await store.sessions.findSession(project.id, free.session.id))?.lastAccessTime.getTime() ===
      at(5).getTime(),
    patience,
  );
  expect(await store.sessions.findSession(project.id, locked.session.id)).toEqual(locked.session);
  expect(await revokeTarget(store, project, { scope: "project" })).toMatchObject({
    revision: 1,
  });
  await holder.query("rollback");
  expect(lostAccesses).toEqual([]);
});
