import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { at, memberId, revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
let other: OpenStore;

beforeAll(() => void (other = openStore(opened.url)));
afterAll(() => other.close());

const storeOf = (i: number) => (i % 2 === 0 ? opened : other).store;

async function revisionsAfter(project: Project, revision: number): Promise<number[]> {
  const { rows } = await sql<{ revision: number }>`
    select revision from revocations where project_id = ${project.id} and revision > ${revision}
    order by revision`.execute(opened.db);
  return rows.map((row) => row.revision);
}

/** Row versions of the project's sessions, which change with each write. */
async function versionsOf(project: Project) {
  const { rows } = await sql<{ id: string }>`
    select id, ctid::text, xmin::text, xmax::text from sessions where project_id = ${project.id}
    order by id`.execute(opened.db);
  return rows;
}

test("polling the log while replicas write never finds a revision below one already seen", async () => {
  const project = await storedProject(opened.store);
  const writers = Array.from({ length: 12 }, async (_, i) => {
    for (let n = 0; n < 10; n++) {
      const target = { scope: "member", id: memberId(`m${i}`) } as const;
      await revokeTarget(storeOf(i), project, target, { count: (i + n) % 4 === 0 });
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

test("a cutoff writes no session except an exempted one", async () => {
  const { store } = opened;
  const project = await storedProject(store);
  await Promise.all(Array.from({ length: 30 }, () => storedSession(store, project)));
  const before = await versionsOf(project);
  expect(before).toHaveLength(30);
  await revokeTarget(store, project, { scope: "member", id: memberId("ada"), except: newSessionId() });
  expect(await versionsOf(project)).toEqual(before);
  expect(await store.revocations.countActive(project.id, { scope: "project" }, at(0))).toBe(0);

  const spared = await storedSession(store, project);
  const beforeSparing = await versionsOf(project);
  await revokeTarget(store, project, { scope: "project", except: spared.session.id });
  const changed = (await versionsOf(project)).filter(
    (row, i) => JSON.stringify(row) !== JSON.stringify(beforeSparing[i]),
  );
  expect(changed.map(({ id }) => id)).toEqual([spared.session.id]);
});

test.each([
  ["behind", -3_600_000],
  ["ahead", 3_600_000],
])(
  "a revocation by a replica whose clock is an hour %s stays relevant as long as a JWT of any clock",
  async (_, ms) => {
    const project = await storedProject(opened.store);
    const before = Date.now();
    const time = new Date(before + ms);
    await revokeTarget(opened.store, project, { scope: "project" }, { time });
    const { revocations } = await opened.store.revocations.readRevocations(project.id, 0, 1);
    // The JWT's lifetime, two tolerances, and the time that a call may take to sign it.
    const margin = project.policy.jwtLifetime + 70_000;
    const relevantUntil = revocations[0]?.relevantUntil.getTime();
    expect(relevantUntil).toBeGreaterThanOrEqual(Math.max(before, time.getTime()) + margin);
    expect(relevantUntil).toBeLessThanOrEqual(Math.max(Date.now(), time.getTime()) + margin);
  },
);
