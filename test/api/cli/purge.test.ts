import { chmod, readdir } from "node:fs/promises";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { Lease } from "../../../src/storage/schema/lease.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { day } from "../../support/fixtures/purging.ts";
import { revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { emptyFolder, jsonOf, sessiond, startSessiond } from "./command-process.ts";

/** A database with sessions that ended this many days ago, the second by a revocation. */
async function databaseWith(...days: readonly number[]) {
  const url = await databaseOfTest();
  const { store, db, close } = openStore(url);
  onTestFinished(close);
  const project = await storedProject(store);
  const sessions: Session[] = [];
  for (const [i, ago] of days.entries()) {
    const time = new Date(Date.now() - ago * day);
    const expireTime = i === 1 ? new Date(Date.now() + day) : time;
    const times = { createTime: time, lastAccessTime: time, expireTime };
    const { session } = await storedSession(store, project, times);
    // Two: the purge keeps the newest revocation that it could delete.
    if (i < 2) await revokeTarget(store, project, { scope: "session", id: session.id }, { time });
    sessions.push(session);
  }
  await sql`update revocations set matter_until_time = revoke_time + interval '370 seconds'`.execute(db);
  const left = async () => {
    const found = await Promise.all(sessions.map(({ id }) => store.sessions.findSession(project.id, id)));
    return found.map((session) => session !== undefined);
  };
  return { url, db, left };
}

/** Runs `sessiond purge` on a database, without a master key. */
const on = (url: string, args: readonly string[] = [], days = "") =>
  sessiond(["purge", ...args], { environment: { DATABASE_URL: url, SESSIOND_RETENTION_DAYS: days } });

test("deletes what ended before the retention, 90 days by default; --dry-run only counts it", async () => {
  const { url, left } = await databaseWith(200, 100, 95, 50, 5);
  const counts = ["sessions     3", "tokens       3", "revocations  1", "cutoffs      0"];
  const stdout = counts.map((count) => `would purge ${count}\n`).join("");
  expect(await on(url, ["--dry-run"])).toEqual({ status: 0, stderr: "", stdout });
  expect(await left()).toEqual([true, true, true, true, true]);
  const one = { dryRun: false, sessions: 1, tokens: 1, revocations: 0, cutoffs: 0 };
  expect(await jsonOf(on(url, ["--json"], "190"))).toEqual(one);
  expect(await jsonOf(on(url, ["--json"]))).toMatchObject({ sessions: 2, revocations: 1 });
  expect(await left()).toEqual([false, false, false, true, true]);
  expect((await on(url, ["--retention-days", "10"], "0")).stdout).toContain("purged sessions     1\n");
  expect(await left()).toEqual([false, false, false, false, true]);
});

test("fails while another purge is running; a dry run does not", async () => {
  const { url, db, left } = await databaseWith(100);
  const lease = await Lease.take(db, "purge", { seconds: 120, intervalMs: 0 });
  const { status, stdout, stderr } = await on(url);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toBe("sessiond: another purge is running: nothing was deleted; try again later\n");
  expect((await on(url, ["--dry-run"])).status).toBe(0);
  await lease?.release(true);
  expect((await on(url)).status).toBe(0);
  expect(await left()).toEqual([false]);
});

test("an interrupted purge ends after the current batch, prints what it deleted, and can be continued", async () => {
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
  expect(await jsonOf(on(url, ["--json"]))).toMatchObject({ sessions: left, tokens: 1 });
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

test("a wrong SESSIOND_RETENTION_DAYS is a wrong configuration", async () => {
  const { status, stderr } = await on("postgres://nowhere", [], "soon");
  expect(status).toBe(1);
  expect(stderr).toContain("SESSIOND_RETENTION_DAYS: must be a whole number of days from 0 to 3650");
});

test("an unreachable database is status 5; a database with pending migrations is not purged", async () => {
  expect((await on("postgres://user@127.0.0.1:1/none")).status).toBe(5);
  const { url, db } = await databaseWith(100);
  await sql`delete from sessiond_migrations where name = '0001_initial'`.execute(db);
  const { status, stderr } = await on(url);
  expect(status).toBe(1);
  expect(stderr).toContain("migrations are pending: `sessiond migrate` applies them");
});

test("without DATABASE_URL it uses the embedded database, which it does not create", async () => {
  const cwd = await emptyFolder();
  // If the tests run as root, PostgreSQL runs as another user, who needs access.
  await chmod(cwd, 0o755);
  expect(await jsonOf(sessiond(["purge", "--json"], { cwd }))).toMatchObject({ sessions: 0 });
  expect(await readdir(cwd)).toEqual([]);
});
