import { sql } from "kysely";
import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import { emptyTables, purgeAt } from "../../support/fixtures/purging.ts";
import { at, hour, newRequest, newSession, storedProject } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
let projects: readonly Project[];

beforeEach(async () => {
  await emptyTables(opened.db);
  projects = [await storedProject(opened.store), await storedProject(opened.store)];
});

const requests = async () => {
  const rows = await opened.db.selectFrom("creation_requests").select("request_id").execute();
  return rows.map((row) => row.request_id).toSorted();
};
const create = async (id: string, minutesAgo: number) => {
  for (const project of projects) {
    const draft = newSession(project);
    await opened.store.sessions.createSessionOnce(draft, hashSecret(draft.id), newRequest(id));
  }
  await sql`update creation_requests set create_time = now() - ${minutesAgo} * interval '1 minute'
    where request_id = ${id}`.execute(opened.db);
};

test("purges creation requests of every project that cannot be repeated, in batches, and no session of them", async () => {
  for (let i = 0; i < 12; i++) await create(`old-${i}`, 12);
  for (let i = 0; i < 8; i++) await create(`new-${i}`, 10);
  const batchSize = 5;
  expect(await purgeAt(opened.db, at(0), { dryRun: true, batchSize })).toMatchObject({ outcome: "finished" });
  expect(await requests()).toHaveLength(40);
  expect(await purgeAt(opened.db, at(0), { batchSize })).toMatchObject({ outcome: "finished", sessions: 0 });
  expect(await requests()).toEqual(Array.from({ length: 8 }, (_, i) => [`new-${i}`, `new-${i}`]).flat());
});

test("purges them even if ended sessions are kept forever", async () => {
  await create("old", 12);
  const purged = await purgeAt(opened.db, at(9000 * hour), { retentionMs: undefined });
  expect(purged).toMatchObject({ outcome: "finished", sessions: 0 });
  expect(await requests()).toEqual([]);
});
