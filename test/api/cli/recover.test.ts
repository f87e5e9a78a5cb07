import { chmod } from "node:fs/promises";
import { Client } from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import { historyOf, storeOfTest, usedProject } from "../../support/fixtures/recovering.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { projectId } from "../../support/fixtures/stored.ts";
import { lockWaits } from "../../support/postgres/operator.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { patience } from "../../support/patience.ts";
import { emptyFolder, jsonOf, onTerminal, sessiond, startSessiond } from "./command-process.ts";

const gap = 2 ** 40;

/** A database with the projects `a` and `b`, each with sessions and two signing keys. */
async function restoredDatabase() {
  const { store, url } = await storeOfTest();
  for (const id of ["a", "b"]) await usedProject(store, { id: projectId(id) });
  const starts = async () => {
    const histories = await Promise.all(["a", "b"].map((id) => historyOf(url, projectId(id))));
    return histories.map(({ start_revision }) => start_revision);
  };
  return { store, url, starts };
}

/** Runs `sessiond recover` on a database, without a master key. */
const on = (url: string, ...args: string[]) =>
  sessiond(["recover", ...args], { environment: { DATABASE_URL: url } });

test("prints what it did to each project; --dry-run only what it would do", async () => {
  const { url, starts } = await restoredDatabase();
  const planned = await on(url, "--dry-run");
  expect(planned).toEqual({
    status: 0,
    stderr: "",
    stdout:
      "a: at revision 1; would revoke every session and 2 signing keys\n" +
      "b: at revision 1; would revoke every session and 2 signing keys\n" +
      "would recover 2 projects\n",
  });
  expect(await starts()).toEqual([0, 0]);
  const { status, stdout, stderr } = await on(url, "--yes");
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout:
      `a: starts at revision ${1 + gap}; revoked every session and 2 signing keys\n` +
      `b: starts at revision ${1 + gap}; revoked every session and 2 signing keys\n` +
      "recovered 2 projects\n",
  });
  expect(stderr).toContain("what was disabled after the backup was made is enabled again");
  expect(await starts()).toEqual([1 + gap, 1 + gap]);
});

test("--json prints the recovery and its projects, with the keys that SESSIOND_MASTER_KEY encrypts", async () => {
  const { url, store } = await restoredDatabase();
  const environment = { DATABASE_URL: url, SESSIOND_MASTER_KEY: testMasterKey };
  const planned = await jsonOf(sessiond(["recover", "--dry-run", "--json"], { environment }));
  const pending = { state: "pending", revision: "1", signingKeys: 2 };
  const projects = [
    { projectId: "a", ...pending },
    { projectId: "b", ...pending },
  ];
  expect(planned).toEqual({ dryRun: true, keepSessions: false, projects });
  const done = await jsonOf(sessiond(["recover", "--yes", "--json"], { environment }));
  const time = expect.stringMatching(/Z$/);
  expect(done).toMatchObject({
    dryRun: false,
    recovery: { id: expect.any(String), startTime: time, finishTime: time },
    projects: [{ projectId: "a", state: "recovered", startRevision: String(1 + gap) }, { projectId: "b" }],
  });
  const [key] = await store.signingKeys.signingSchedule(projectId("a"), new Date());
  expect(done).toMatchObject({
    projects: [{ revokedSigningKeys: ["active", "next"], newSigningKey: key?.kid }, {}],
  });
});

test("is refused while a process serves from the database, which it names, unless --force", async () => {
  const { url, starts } = await restoredDatabase();
  await runSql(
    url,
    `insert into replicas (id, name, leased, start_time, renew_time) values
      (gen_random_uuid(), 'web-1 (pid 7)', false, now(), now() + interval '1 minute'),
      (gen_random_uuid(), 'web-2 (pid 8)', false, now(), now() - interval '10 seconds')`,
  );
  for (const args of [["--yes"], ["--dry-run"]]) {
    const { status, stdout, stderr } = await on(url, ...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/these processes serve .*\n {2}web-1 \(pid 7\), which was there 0 seconds ago\n/);
    expect(stderr).toContain("Stop them and try again 10 seconds later, or add --force");
    expect(stderr).not.toContain("web-2");
  }
  expect(await starts()).toEqual([0, 0]);
  expect((await on(url, "--yes", "--force")).status).toBe(0);
  expect(await starts()).toEqual([1 + gap, 1 + gap]);
});

test("without a terminal it needs --yes", async () => {
  const { url, starts } = await restoredDatabase();
  const { status, stdout, stderr } = await on(url);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain("add --yes; nothing was changed");
  expect(await starts()).toEqual([0, 0]);
});

test.runIf(process.platform === "linux")(
  "asks on a terminal, and says what --keep-sessions means",
  async () => {
    const { url, starts } = await restoredDatabase();
    const environment = { DATABASE_URL: url };
    const asked = await onTerminal(["recover"], "n\n", environment);
    expect(asked.status).toBe(1);
    const question = "Revoke every session and session JWT of 2 projects, which logs everyone out? [y/N]";
    expect(asked.stdout).toContain(question);
    const kept = await onTerminal(["recover", "--keep-sessions"], "n\n", environment);
    expect(kept.stdout).toContain(
      "Revoke every session JWT of 2 projects; the sessions of the backup are active, those too that were revoked or logged out",
    );
    expect(await starts()).toEqual([0, 0]);
    expect((await onTerminal(["recover"], "y\n", environment)).status).toBe(0);
    expect(await starts()).toEqual([1 + gap, 1 + gap]);
  },
);

// Many processes start one after the other.
const slow = { timeout: 90_000 };

test(
  "a killed run is continued with the same options; a finished one is repeated only with --again",
  slow,
  async () => {
    const { url, starts } = await restoredDatabase();
    const client = new Client({ connectionString: url });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query("begin");
    await client.query("select from project_revisions where project_id = 'b' for update");
    const watching = new Client({ connectionString: url });
    await watching.connect();
    onTestFinished(() => watching.end());
    const killed = startSessiond(["recover", "--yes", "--keep-sessions"], {
      environment: { DATABASE_URL: url },
    });
    await vi.waitUntil(async () => (await lockWaits(watching)) === 1, patience);
    killed.signal("SIGKILL");
    await killed.ended;
    await client.query("rollback");
    await vi.waitUntil(async () => (await lockWaits(watching)) === 0, patience);
    expect(killed.stdout()).toContain("a: starts at revision");

    const other = await on(url, "--yes");
    expect(other.status).toBe(1);
    expect(other.stderr).toMatch(
      /began at \S+Z with --keep-sessions is not finished: run it again with that option/,
    );
    const continued = await on(url, "--yes", "--keep-sessions");
    expect(continued.stdout).toMatch(
      /^a: recovered before\nb: .*revoked 2 signing keys\nrecovered 1 project\n$/,
    );
    expect(continued.stderr).toContain("continues the recovery that began at");
    expect(continued.stderr).toContain("the sessions of the backup are active");
    expect(await starts()).toEqual([1 + gap, 1 + gap]);

    const repeated = await on(url, "--yes", "--keep-sessions");
    expect(repeated).toMatchObject({ status: 1, stdout: "" });
    expect(repeated.stderr).toMatch(
      /the recovery of \S+Z is finished: add --again if the database has been restored/,
    );
    expect((await on(url, "--yes", "--again")).status).toBe(0);
    for (const start of await starts()) expect(start).toBeGreaterThan(2 * gap);
  },
);

test("SIGINT ends it after the current project, and it says how to go on", slow, async () => {
  const { url, starts } = await restoredDatabase();
  const client = new Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  const watching = new Client({ connectionString: url });
  await watching.connect();
  onTestFinished(() => watching.end());
  await client.query("begin");
  await client.query("select from project_revisions where project_id = 'a' for update");
  const interrupted = startSessiond(["recover", "--yes"], { environment: { DATABASE_URL: url } });
  await vi.waitUntil(async () => (await lockWaits(watching)) === 1, patience);
  interrupted.signal("SIGINT");
  await client.query("rollback");
  expect(await interrupted.ended).toBe(1);
  expect(interrupted.stdout()).toMatch(/^a: .*\nrecovered 1 project\n$/);
  expect(interrupted.stderr()).toContain("interrupted: the same command continues; keep replicas stopped");
  expect(await starts()).toEqual([1 + gap, 0]);
  expect((await on(url, "--yes")).stdout).toContain("a: recovered before\n");
});

test("needs a database of this version that answers, and a correct configuration", slow, async () => {
  expect((await on("postgres://user@127.0.0.1:1/none", "--yes")).status).toBe(5);
  const environment = { DATABASE_URL: "postgres://nowhere", SESSIOND_MASTER_KEY: "short" };
  const wrong = await sessiond(["recover", "--yes"], { environment });
  expect(wrong.status).toBe(1);
  expect(wrong.stderr).toContain("SESSIOND_MASTER_KEY: must be 32 bytes in base64");

  const { url, starts } = await restoredDatabase();
  await runSql(url, "delete from sessiond_migrations where name = '0001_initial'");
  const { status, stderr } = await on(url, "--yes");
  expect(status).toBe(1);
  expect(stderr).toContain("migrations are pending: `sessiond migrate` applies them");
  expect(await starts()).toEqual([0, 0]);

  const cwd = await emptyFolder();
  await chmod(cwd, 0o755);
  const none = await sessiond(["recover", "--yes"], { cwd });
  expect(none.status).toBe(1);
  expect(none.stderr).toContain("there is no database in .sessiond to recover");
});
