import { chmod, readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { emptyFolder, rowsOf, sessiond } from "./command-process.ts";

/** A database without a schema. */
const emptyDatabase = () => databaseOfTest("template0");

const tablesIn = (url: string) =>
  runSql(url, "select tablename from pg_tables where schemaname = 'public' order by 1");

/** Runs `sessiond migrate` on a database, without a master key. */
const on = (url: string, ...args: string[]) =>
  sessiond(["migrate", ...args], { environment: { DATABASE_URL: url } });

test("status, --dry-run and migrate, from an empty database to the newest schema", async () => {
  const url = await emptyDatabase();
  const before = await on(url, "status");
  expect(before.status).toBe(1);
  expect(before.stderr).toContain("migrations are pending");
  const rows = rowsOf(before.stdout);
  const names = rows.map(({ migration = "" }) => migration);
  expect(names[0]).toBe("0001_initial");
  expect(rows.every(({ state, applied }) => state === "pending" && applied === "")).toBe(true);

  const lines = (verb: string) => names.map((name) => `${verb} ${name}\n`).join("");
  expect(await on(url, "--dry-run")).toEqual({ status: 0, stderr: "", stdout: lines("would apply") });
  expect(JSON.parse((await on(url, "--dry-run", "--json")).stdout)).toEqual({ pending: names });
  expect(await tablesIn(url)).toEqual([]);

  expect(await on(url)).toEqual({ status: 0, stderr: lines("applying"), stdout: lines("applied") });
  expect(await on(url)).toEqual({ status: 0, stderr: "", stdout: "the schema is up to date\n" });
  expect(JSON.parse((await on(url, "--json")).stdout)).toEqual({ applied: [] });

  const after = await on(url, "status", "--json");
  expect(after.status).toBe(0);
  expect(JSON.parse(after.stdout)).toEqual({
    state: "current",
    migrations: names.map((name) => ({ name, state: "applied", applyTime: expect.stringMatching(/Z$/) })),
  });
});

test("several at once apply each migration once", async () => {
  const url = await emptyDatabase();
  const runs = await Promise.all([on(url, "--json"), on(url, "--json"), on(url, "--json")]);
  expect(runs.map(({ status }) => status)).toEqual([0, 0, 0]);
  const applied = runs.flatMap(({ stdout }) => (JSON.parse(stdout) as { applied: string[] }).applied);
  expect(new Set(applied).size).toBe(applied.length);
  expect(applied).toContain("0001_initial");
});

test("a newer schema stays as it is, and the error says so", async () => {
  const url = await databaseOfTest();
  await runSql(url, "insert into sessiond_migrations values ('9999_from_the_future', now()::text)");
  const status = await on(url, "status");
  expect(status.status).toBe(1);
  expect(rowsOf(status.stdout).at(-1)).toMatchObject({ migration: "9999_from_the_future", state: "unknown" });
  for (const args of [[], ["--dry-run"]]) {
    const { status, stderr } = await on(url, ...args);
    expect(status).toBe(1);
    expect(stderr).toContain("newer than this version of sessiond: it has migration 9999_from_the_future");
  }
});

test.each([[[]], [["--dry-run"]], [["status"]]])(
  "an unreachable database is status 5, and its password is not printed: %j",
  async (args) => {
    const url = "postgres://user:a-database-password@127.0.0.1:1/nowhere";
    const { status, stdout, stderr } = await on(url, ...args);
    expect({ status, stdout }).toEqual({ status: 5, stdout: "" });
    expect(stderr).toContain("the database does not answer");
    expect(stderr).not.toContain("a-database-password");
  },
);

test("a wrong DATABASE_URL is named but not printed", async () => {
  const { status, stderr } = await on("mysql://a-database-password");
  expect(status).toBe(1);
  expect(stderr).toContain("DATABASE_URL: must be postgres://");
  expect(stderr).not.toContain("a-database-password");
});

test(
  "without DATABASE_URL it uses the embedded database, which --dry-run and status do not create",
  { timeout: 60_000 },
  async () => {
    const cwd = await emptyFolder();
    // If the tests run as root, PostgreSQL runs as another user, who needs access.
    await chmod(cwd, 0o755);
    expect((await sessiond(["migrate", "--dry-run"], { cwd })).stdout).toContain("would apply 0001_initial");
    expect((await sessiond(["migrate", "status"], { cwd })).status).toBe(1);
    expect(await readdir(cwd)).toEqual([]);
    expect((await sessiond(["migrate"], { cwd })).stdout).toContain("applied 0001_initial");
    expect((await sessiond(["migrate", "status"], { cwd })).status).toBe(0);
  },
);
