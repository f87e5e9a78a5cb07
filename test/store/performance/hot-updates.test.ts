// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { expect, test, vi } from "vitest";
import { openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { at, memberId, revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";

test("accesses, extensions and revocations write to no index of the sessions they change", async () => {
  const url = await databaseOfTest();
  const opened = openStore(url);
  const { store } = opened;
  const project = await storedProject(store);
  const sessions = await Promise.all(Array.from({ length: 1000 }, () => storedSession(store, project)));
  // Sessions of every page, as different members would change them.
  const some = sessions.filter((_, i) => i % 10 === 0).map(({ session }) => session);
  // One after the other: versions that a running transaction may see take up room in the page.
  for (let round = 1; round <= 4; round++) {
    for (const { id } of some) await store.sessions.extendSession(project.id, id, at(round), at(0));
  }
  for (const { id } of some) await revokeTarget(store, project, { scope: "session", id });
  for (let i = 0; i < 50; i++) {
    await revokeTarget(store, project, { scope: "member", id: memberId("a member") });
  }
  await opened.close();

  // Statistics are complete when the connections have ended.
  const updates = async (table: string) => {
    const [row] = await runSql<{ all: number; cheap: number }>(
      url,
      `select n_tup_upd::int as all, n_tup_hot_upd::int as cheap from pg_stat_user_tables where relname = $1`,
      table,
    );
    return row ?? { all: 0, cheap: 0 };
  };
  await vi.waitUntil(async () => (await updates("sessions")).all === 500, patience);
  await vi.waitUntil(async () => (await updates("project_revisions")).all > 50, patience);
  for (const table of ["sessions", "project_revisions", "cutoffs"]) {
    const { all, cheap } = await updates(table);
    expect(cheap, `of ${all} updates of ${table}`).toBeGreaterThanOrEqual(0.9 * all);
  }
});
