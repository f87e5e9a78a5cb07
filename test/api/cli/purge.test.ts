import { chmod, readdir } from "node:fs/promises";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { PurgeLease } from "../../../src/storage/purge/lease.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { day } from "../../support/fixtures/purging.ts";
import { orderOf, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";
import { emptyFolder, sessiond, startSessiond } from "./command-process.ts";

/** A database with sessions that ended so many days ago, the second by a revocation. */
async function databaseWith(...days: readonly number[]) {
  const database = await createTestDatabase();
  const opened = openStore(database.url);
  const { store, db } = opened;
  onTestFinished(async () => {
    await opened.close();
    await database.drop();
  });
  const project = await storedProject(store);
  const sessions: Session[] = [];
  for (const [i, ago] of days.entries()) {
    const time = new Date(Date.now() - ago * day);
    const expireTime = i === 1 ? new Date(Date.now() + day) : time;
    const { session } = await storedSession(store, project, {
      createTime: time,
      lastAccessTime: time,
      expireTime,
    });
    if (i === 1) {
      await store.revocations.revoke(orderOf(project, { scope: "session", id: session.id }, { time }));
    }
    sessions.push(session);
  }
  const left = async () => {
    const found = await Promise.all(sessions.map(({ id }) => store.sessions.findSession(project.id, id)));
    return found.map((session) => session !== undefined);
  };
  return { url: database.url, db, left };
}

/** `sessiond purge` on a database. No master key: whoever purges needs none. */
const on = (url: string, args: readonly string[] = [], days = "") =>
  sessiond(["purge", ...args], { environment: { DATABASE_URL: url, SESSIOND_RETENTION_DAYS: days } });

test("purge deletes what ended more than 90 days ago, or as long as is said; --dry-run only counts", async () => {
  const { url, left } = await databaseWith(200, 100, 95, 50, 5);
  const dry = await on(url, ["--dry-run"]);
  expect(dry).toEqual({
    status: 0,
    stderr: "",
    stdout:
      "would purge sessions     3\nwould purge tokens       3\nwould purge revocations  1\nwould purge cutoffs      0\n",
  });
  expect(await left()).toEqual([true, true, true, true, true]);
  expect(JSON.parse((await on(url, ["--json"], "190")).stdout)).toEqual({
    dryRun: false,
    sessions: 1,
    tokens: 1,
    revocations: 0,
    cutoffs: 0,
  });
  expect(JSON.parse((await on(url, ["--json"])).stdout)).toMatchObject({ sessions: 2, revocations: 1 });
  expect(await left()).toEqual([false, false, false, true, true]);
  expect((await on(url, ["--retention-days", "10"], "0")).stdout).toContain("purged sessions     1\n");
  expect(await left()).toEqual([false, false, false, false, true]);
});

test("while another purges nothing is done, and said so; a dry run asks nobody", async () => {
  const { url, db, left } = await databaseWith(100);
  const lease = await PurgeLease.take(db, 0);
  const { status, stdout, stderr } = await on(url);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toBe("sessiond: another purge is running: nothing was deleted; try again later\n");
  expect((await on(url, ["--dry-run"])).status).toBe(0);
  await lease?.release(true);
  expect((await on(url)).status).toBe(0);
  expect(await left()).toEqual([false]);
});

test("interrupted, it ends after its batch, says what it did, and lets the next one go on", async () => {
  const { url, db } = await databaseWith(100);
  await sql`
    insert into sessions (project_id, id, member_id, created_revision, create_time, last_access_time, expire_time, user_agent,
      ip_address, authentication_factors, roles, custom_claims)
    select project_id, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, member_id, 0, create_time,
      last_access_time, expire_time, '', '', '[]', '{}', '{}'
    from sessions, generate_series(1, 50000) i`.execute(db);
  const purging = startSessiond(["purge", "--json"], { environment: { DATABASE_URL: url } });
  const count = async () =>
    (await sql<{ n: number }>`select count(*) as n from sessions`.execute(db)).rows[0]?.n ?? 0;
  let left = await count();
  while (left > 50_000) left = await count();
  purging.signal("SIGINT");
  expect(await purging.ended).toBe(1);
  left = await count();
  expect(left).toBeGreaterThan(0);
  expect(JSON.parse(purging.stdout())).toMatchObject({ sessions: 50_001 - left });
  expect(purging.stderr()).toContain("the purge is not complete");
  expect(JSON.parse((await on(url, ["--json"])).stdout)).toMatchObject({ sessions: left, tokens: 1 });
});

test.each([
  [["--retention-days", "0"], "", "--retention-days must be a whole number of days from 1 to 3650"],
  [["--retention-days", "1.5"], "", "--retention-days must be"],
  [["--retention-days", "3651"], "", "--retention-days must be"],
  [[], "0", "SESSIOND_RETENTION_DAYS is 0, so nothing is ever purged"],
])("%j with SESSIOND_RETENTION_DAYS=%s is refused", async (args, days, text) => {
  const { status, stdout, stderr } = await on("postgres://nowhere", args, days);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(text);
});

test("a retention that makes no sense is a wrong configuration", async () => {
  const { status, stderr } = await on("postgres://nowhere", [], "soon");
  expect(status).toBe(1);
  expect(stderr).toContain("SESSIOND_RETENTION_DAYS: must be a whole number of days from 0 to 3650");
});

test("a database that is not there is status 5; one without this version's schema is left alone", async () => {
  expect((await on("postgres://nobody@127.0.0.1:1/none")).status).toBe(5);
  const { url, db } = await databaseWith(100);
  await sql`delete from schema_migrations where name = '0006_purge'`.execute(db);
  const { status, stderr } = await on(url);
  expect(status).toBe(1);
  expect(stderr).toContain("migrations are pending: `sessiond migrate` applies them");
});

test("without DATABASE_URL it is the embedded one, and none is made to be purged", async () => {
  const cwd = await emptyFolder();
  // PostgreSQL runs as another user where the tests run as root, and must get in.
  await chmod(cwd, 0o755);
  expect(JSON.parse((await sessiond(["purge", "--json"], { cwd })).stdout)).toMatchObject({ sessions: 0 });
  expect(await readdir(cwd)).toEqual([]);
});
