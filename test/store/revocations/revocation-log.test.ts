import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import {
  at,
  memberId,
  orderOf,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;
let replicas: readonly [OpenStore, OpenStore];

beforeAll(async () => {
  database = await createTestDatabase();
  replicas = [openStore(database.url), openStore(database.url)];
});

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await database.drop();
});

async function revisionsAfter(project: Project, revision: number): Promise<number[]> {
  const { rows } = await sql<{ revision: number }>`
    select revision from revocations where project_id = ${project.id} and revision > ${revision}
    order by revision`.execute(replicas[0].db);
  return rows.map((row) => row.revision);
}

/** Row versions of the project's sessions, which change with each write. */
async function versionsOf(project: Project): Promise<unknown> {
  const { rows } = await sql`
    select id, ctid::text, xmin::text, xmax::text from sessions where project_id = ${project.id}
    order by id`.execute(replicas[0].db);
  return rows;
}

test("polling the log while replicas write never finds a revision below one already seen", async () => {
  const project = await storedProject(replicas[0].store);
  const writers = Array.from({ length: 12 }, async (_, i) => {
    const { store } = replicas[i % 2 === 0 ? 0 : 1];
    for (let n = 0; n < 10; n++) {
      const target = { scope: "member", id: memberId(`m${i}`) } as const;
      await revokeTarget(store, project, target, { count: (i + n) % 4 === 0 });
    }
  });
  const progress = { done: false };
  const written = Promise.all(writers).finally(() => (progress.done = true));
  const seen: number[] = [];
  do seen.push(...(await revisionsAfter(project, seen.at(-1) ?? 0)));
  while (!progress.done);
  await written;
  seen.push(...(await revisionsAfter(project, seen.at(-1) ?? 0)));
  // A revision that appeared below the greatest one would be missing here.
  expect(seen).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
});

test("a session revoked a hundred times at once leaves one row in the log", async () => {
  const project = await storedProject(replicas[0].store);
  const { session } = await storedSession(replicas[0].store, project);
  const order = orderOf(project, { scope: "session", id: session.id }, { reason: "lost phone" });
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => replicas[i % 2 === 0 ? 0 : 1].store.revocations.revoke(order)),
  );
  const rows = await replicas[0].db
    .selectFrom("revocations")
    .selectAll()
    .where("project_id", "=", project.id)
    .execute();
  expect(rows).toEqual([
    {
      project_id: project.id,
      revision: 1,
      scope: "session",
      target_id: session.id,
      except_session_id: null,
      revoke_time: at(0),
      cause: order.cause,
      reason: "lost phone",
      actor: order.actor,
      // A JWT that was signed just before lives for five minutes; one minute is for clock skew and calls in flight.
      matter_until_time: at(360_000),
    },
  ]);
});

test("a cutoff writes no session except an exempted one", async () => {
  const { store } = replicas[0];
  const project = await storedProject(store);
  const sessions = await Promise.all(Array.from({ length: 30 }, () => storedSession(store, project)));
  const before = await versionsOf(project);
  await revokeTarget(store, project, { scope: "member", id: memberId("ada"), except: newSessionId() });
  expect(await versionsOf(project)).toEqual(before);
  expect(await store.revocations.countActive(project.id, { scope: "project" }, at(0))).toBe(0);

  const spared = await storedSession(store, project);
  const beforeSparing = (await versionsOf(project)) as { id: string }[];
  await revokeTarget(store, project, { scope: "project", except: spared.session.id });
  const changed = ((await versionsOf(project)) as { id: string }[]).filter(
    (row, i) => JSON.stringify(row) !== JSON.stringify(beforeSparing[i]),
  );
  expect(changed.map(({ id }) => id)).toEqual([spared.session.id]);
  expect(sessions).toHaveLength(30);
});
