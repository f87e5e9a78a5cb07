// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { expect, onTestFinished, test, vi } from "vitest";
import { RevocationNotifier } from "../../../src/storage/revocations/notifier.ts";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { memberId, must, revokeTarget, storedProject } from "../../support/fixtures/stored.ts";
import { patience } from "../../support/patience.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { temporaryPostgres } from "../../support/postgres/temporary-postgres.ts";

/** Makes commits wait for a standby that does not exist, or no more. */
async function waitForStandby(url: string, names: string): Promise<void> {
  await runSql(url, `alter system set synchronous_standby_names = '${names}'`);
  await runSql(url, "select pg_reload_conf()");
  await vi.waitUntil(async () => {
    const [row] = await runSql<{ names: string }>(
      url,
      "select current_setting('synchronous_standby_names') as names",
    );
    return row?.names === names;
  }, patience);
}

/** What the statements of the store wait for. */
async function waitsOf(url: string): Promise<readonly string[]> {
  const rows = await runSql<{ wait_event: string }>(
    url,
    `select wait_event from pg_stat_activity
      where application_name = 'sessiond' and state = 'active' and wait_event is not null`,
  );
  return rows.map((row) => row.wait_event);
}

test("commits of several projects wait for the standby at the same time, and not for each other", async () => {
  const postgres = await temporaryPostgres();
  onTestFinished(() => postgres.stop());
  const { store, db, close } = openStore(postgres.url);
  onTestFinished(close);
  await migrateToLatest(db);
  const projects = await Promise.all([1, 2, 3].map(() => storedProject(store)));
  await waitForStandby(postgres.url, "nobody");
  const revoking = projects.map((project) =>
    revokeTarget(store, project, { scope: "member", id: memberId("ada") }),
  );
  await vi.waitUntil(async () => (await waitsOf(postgres.url)).length === projects.length, patience);
  expect(await waitsOf(postgres.url)).toEqual(projects.map(() => "SyncRep"));

  // Nor does a notification, which holds a lock that all others need.
  const failures: unknown[] = [];
  const notifier = new RevocationNotifier({ db, sender: "test", onFailure: (error) => failures.push(error) });
  notifier.notify(must(projects[0]).id);
  await notifier.drain();
  expect(failures).toEqual([]);

  await waitForStandby(postgres.url, "");
  expect(await Promise.all(revoking)).toMatchObject(projects.map(() => ({ revision: 1 })));
}, 60_000);
