// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { beforeEach, expect, test, vi } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { patience } from "../../support/patience.ts";
import {
  at,
  hour,
  newCredential,
  newSigningKey,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { useLocks } from "../../support/postgres/use-locks.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
const { hold, waiters } = useLocks(opened);
let project: Project;

beforeEach(async () => {
  project = await storedProject(opened.store);
});

test("a revocation that waits for an access ends the session and the others of its batch", async () => {
  const { store } = opened;
  const sessions = await Promise.all(Array.from({ length: 3 }, () => storedSession(store, project)));
  const accessed = sessions[0]?.session.id;
  await hold("begin");
  await hold("update sessions set last_access_time = $2 where id = $1", [accessed, at(1)]);
  const revoking = Promise.all(
    sessions.map(({ session }) => revokeTarget(store, project, { scope: "session", id: session.id })),
  );
  const sparing = revokeTarget(store, project, { scope: "project", except: accessed });
  await waiters(1);
  await hold("commit");
  expect(await revoking).toMatchObject([1, 2, 3].map((revision) => ({ revision, revokedCount: 1 })));
  expect(await sparing).toMatchObject({ revision: 4 });
  const found = await Promise.all(
    sessions.map(({ session }) => store.sessions.findSession(project.id, session.id)),
  );
  expect(found.map((session) => session?.revocation?.revision)).toEqual([1, 2, 3]);
  expect(found.map((session) => session?.lastAccessTime)).toEqual([at(1), at(0), at(0)]);
});

test("a revocation that another replica overtook is planned again, after that one's", async () => {
  const { store } = opened;
  const [{ session }, other] = [await storedSession(store, project), await storedSession(store, project)];
  await hold("begin");
  await hold("update project_revisions set revision = 1 where project_id = $1", [project.id]);
  await hold("update sessions set revoked_revision = 1 where id = $1", [session.id]);
  await hold(
    `insert into revocations (project_id, revision, id, scope, target_id, revoke_time, matter_until_time, cause,
       reason, actor, acting_user)
     values ($1, 1, gen_random_uuid(), 'session', $2, $3, now() + interval '61 minutes', 'policy', '',
       'another replica', '')`,
    [project.id, session.id, at(1)],
  );
  const revoking = Promise.all(
    [session, other.session].map(({ id }) => revokeTarget(store, project, { scope: "session", id })),
  );
  await waiters(1);
  await hold("commit");
  expect(await revoking).toEqual([
    { revision: 1, time: at(1), revokedCount: 0 },
    { revision: 2, time: at(0), revokedCount: 1 },
  ]);
  const { revocations } = await store.revocations.readRevocations(project.id, 0, 10);
  expect(revocations.map(({ targetId }) => targetId)).toEqual([session.id, other.session.id]);
});

test("a revocation that waits for a policy with a longer JWT lifetime is relevant until those JWTs expire", async () => {
  const { store } = opened;
  await hold("begin");
  await hold("select from project_revisions where project_id = $1 for update", [project.id]);
  const updating = store.projects.updateProject(project.id, () => ({
    policy: { ...project.policy, jwtLifetime: hour },
  }));
  await waiters(1);
  const revoking = revokeTarget(store, project, { scope: "project" });
  await waiters(2);
  await hold("rollback");
  await Promise.all([updating, revoking]);
  const { revocations } = await store.revocations.readRevocations(project.id, 0, 10);
  expect(revocations).toMatchObject([{ relevantUntil: at(hour + 70_000) }]);
});

test("no revocation waits for an update of the project that holds no lock on the log, and they do not deadlock", async () => {
  const { store } = opened;
  const addKey = (kid: string) => store.signingKeys.addFirstSigningKey(newSigningKey(project, kid));
  await addKey("first");
  await hold("begin");
  await hold("select from projects where id = $1 for no key update", [project.id]);
  const updates = [1, 2].map((n) =>
    store.projects.updateProject(project.id, ({ policy }) => ({
      policy: { ...policy, maxSessionsPerMember: n },
    })),
  );
  await waiters(2);
  expect(await revokeTarget(store, project, { scope: "project" })).toMatchObject({ revision: 1 });
  const revoked = await revokeTarget(store, project, { scope: "signing_key", id: "first" });
  expect(revoked).toMatchObject({ revision: 2 });
  await addKey("second");
  await hold("rollback");
  await Promise.all([
    ...updates,
    ...Array.from({ length: 20 }, (_, i) => [
      revokeTarget(store, project, { scope: "project" }),
      revokeTarget(store, project, { scope: "signing_key", id: i % 2 === 0 ? "first" : "second" }),
      store.signingKeys.addNextSigningKey(newSigningKey(project, `next-${i}`)),
      store.projects.createCredential(newCredential(project)),
      store.projects.updateProject(project.id, ({ policy }) => ({ displayName: `${i}`, policy })),
    ]).flat(),
  ]);
});

test("neither a credential nor a next key is added to a project that is being disabled", async () => {
  const { store } = opened;
  await store.signingKeys.addFirstSigningKey(newSigningKey(project, "first"));
  await hold("begin");
  await hold("update projects set disable_time = $2 where id = $1", [project.id, at(1)]);
  const creating = store.projects.createCredential(newCredential(project));
  await waiters(1);
  const rotating = store.signingKeys.addNextSigningKey(newSigningKey(project, "next", 1, 2));
  await waiters(2);
  const updating = store.projects.updateProject(project.id, ({ disableTime }) => {
    throw new Error(`disabled at ${disableTime?.toISOString()}`);
  });
  const refused = updating.catch(String);
  await waiters(3);
  await hold("commit");
  expect(await creating).toBe(false);
  await rotating;
  expect(await refused).toContain(`disabled at ${at(1).toISOString()}`);
  expect(await store.signingKeys.listSigningKeys(project.id)).toMatchObject([{ kid: "first" }]);
});

test("an extension that began before a revocation ended does not return an active session", async () => {
  const { store } = opened;
  const { session } = await storedSession(store, project);
  await hold("begin");
  await hold("select from sessions where id = $1 for update", [session.id]);
  const revoking = revokeTarget(store, project, { scope: "session", id: session.id });
  await waiters(1);
  const extending = store.sessions.extendSession(project.id, session.id, at(2 * hour), at(1));
  await waiters(2);
  await hold("rollback");
  expect(await revoking).toMatchObject({ revision: 1 });
  expect(await extending).toBeUndefined();
  expect((await store.sessions.findSession(project.id, session.id))?.expireTime).toEqual(session.expireTime);
});

test("an access does not wait for a lock: others are recorded, and neither a look-up nor a cutoff is blocked", async () => {
  const { store, lostAccesses } = opened;
  const [locked, free] = [await storedSession(store, project), await storedSession(store, project)];
  await hold("begin");
  await hold("select from sessions where id = $1 for update", [locked.session.id]);
  store.sessions.recordAccess(locked.session, at(5));
  store.sessions.recordAccess(free.session, at(5));
  await vi.waitUntil(
    async () =>
      (await store.sessions.findSession(project.id, free.session.id))?.lastAccessTime.getTime() ===
      at(5).getTime(),
    patience,
  );
  expect(await store.sessions.findSession(project.id, locked.session.id)).toEqual(locked.session);
  expect(await revokeTarget(store, project, { scope: "project" })).toMatchObject({ revision: 1 });
  await hold("rollback");
  expect(lostAccesses).toEqual([]);
});
