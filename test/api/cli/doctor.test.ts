import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { authority, tlsFolder } from "../../support/process/certificates.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService, testMasterKey } from "../../support/fixtures/running-service.ts";
import { serveProcess } from "../../support/process/serve-process.ts";
import { patience } from "../../support/patience.ts";
import { pgbouncerPath, startPgBouncer } from "../../support/pooler/pgbouncer.ts";
import { databaseUrl, runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { callerOf, emptyFolder, listenOnLoopback, sessiond } from "./command-process.ts";

const service = await runningService();
const ca = authority();
const folder = tlsFolder();
await folder.mount(ca.issue({ names: ["DNS:sessiond.test"] }), ca.cert);
const tls = await runningService({ environment: folder.environment });
afterAll(() => folder.remove());

/** The environment of the running service and of its callers. */
const environment: Record<string, string> = {
  DATABASE_URL: service.databaseUrl,
  SESSIOND_MASTER_KEY: testMasterKey,
  SESSIOND_LISTEN: `127.0.0.1:${service.port}`,
  ...callerOf(service),
};

type Finding = Readonly<Record<"check" | "status" | "message", string> & { mend?: string }>;

/** The findings with a changed environment. Checks that every failure and warning says what to do. */
async function examine(changed: Record<string, string>, cwd?: string) {
  const options = { environment: { ...environment, ...changed }, ...(cwd !== undefined && { cwd }) };
  const { status, stdout, stderr } = await sessiond(["doctor", "--json"], options);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  const failed = findings.some((finding) => finding.status === "fail");
  expect({ status, ok }).toEqual({ status: failed ? 1 : 0, ok: !failed });
  expect(stderr).toMatch(failed ? /^\{"error":\{"code":"FAILED",.* failed"/ : /^$/);
  const problems = findings.filter(({ status }) => ["warn", "fail"].includes(status));
  expect(problems.every(({ mend }) => mend !== undefined)).toBe(true);
  const of = (check: string) => findings.filter((finding) => finding.check === check);
  return { findings, of, text: stdout + stderr };
}

/** A finding whose message matches. */
const finding = (status: string, message: RegExp) => ({ status, message: expect.stringMatching(message) });

/** A database of the newest schema, changed by these statements. */
async function databaseWith(...statements: string[]): Promise<string> {
  const url = await databaseOfTest();
  for (const statement of statements) await runSql(url, statement);
  return url;
}

/** A statement that changes a setting of the database. */
const set = (setting: string) =>
  `do $$ begin execute format('alter database %I set ${setting}', current_database()); end $$`;

/**
 * Statements after which the database has another value of a setting, and a clock that is off. The functions of schema `fake`
 * hide those of PostgreSQL.
 */
const faking = (setting: string, value: string, clock: string) => [
  "create schema fake",
  set("search_path = fake, pg_catalog, public"),
  `create function fake.current_setting(name text) returns text language sql as
     $$ select case name when '${setting}' then '${value}' else pg_catalog.current_setting(name) end $$`,
  `create function fake.clock_timestamp() returns timestamptz language sql as
     $$ select pg_catalog.clock_timestamp() ${clock} $$`,
];

test("prints a line for each check of a running service, with status 0", async () => {
  await newLogin(service);
  const { status, stdout, stderr } = await sessiond(["doctor"], { environment });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  for (const line of [
    /^ok {4}node {12}Node\.js \d+\.\d+\.\d+ is supported \(22\.12 or newer\)$/m,
    /^ok {4}configuration {3}the environment is valid$/m,
    /^skip {2}data-directory {2}DATABASE_URL is set/m,
    /^ok {4}database {8}PostgreSQL \d+\.\d+ answers$/m,
    // The databases of tests have fsync off.
    /^warn {2}durability {6}fsync is off: .*\n +-> turn fsync on in the database$/m,
    /^ok {4}migrations {6}the schema is that of this version$/m,
    /^ok {4}clock {11}the database's clock is \d+ ms (ahead|behind) \(± \d+ ms\)$/m,
    /^ok {4}signing-keys {4}the master key opens all 1$/m,
    /^ok {4}listen-address {2}sessiond serves on 127\.0\.0\.1:\d+$/m,
    /^ok {4}service {9}http:\/\/127\.0\.0\.1:\d+ accepts the credential of project project-test-wire$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).not.toContain("synchronous_commit");
  expect(stdout).not.toContain(service.secret);
});

test("names a wrong configuration, and checks what does not depend on it", async () => {
  const { of, text } = await examine({ SESSIOND_MASTER_KEY: "no-master-key-at-all", SESSIOND_LISTN: "x" });
  expect(of("configuration")).toMatchObject([finding("fail", /^SESSIOND_MASTER_KEY: must be/)]);
  expect(of("database")).toMatchObject([{ status: "ok" }]);
  expect(of("signing-keys")).toMatchObject([{ status: "skip" }]);
  expect(of("service")).toMatchObject([{ status: "ok" }]);
  expect(text).not.toContain("no-master-key-at-all");

  const misspelt = await examine({ SESSIOND_LISTN: "x" });
  expect(misspelt.of("configuration")).toMatchObject([{ status: "warn" }]);
});

test("fails for a database whose encoding is not UTF8, and says how to make one", async () => {
  const name = `test_latin_${Date.now()}`;
  await runSql(
    service.databaseUrl,
    `create database ${name} template template0 encoding 'LATIN1' locale 'C'`,
  );
  onTestFinished(() => runSql(service.databaseUrl, `drop database ${name}`).then(() => undefined));
  const DATABASE_URL = databaseUrl(service.databaseUrl, name);
  const { of } = await examine({ DATABASE_URL });
  expect(of("database")).toMatchObject([finding("fail", /encoding is LATIN1[^]*encoding 'UTF8'/)]);
});

test("reports the processes that serve, silent ones, leases and waits", async () => {
  const url = await databaseWith(
    "insert into replicas (id, name, leased, start_time, renew_time) values (gen_random_uuid(), 'gone:7', false, now() - interval '1 hour', now() - interval '1 minute')",
    "insert into replicas (id, name, leased, start_time, renew_time) values (gen_random_uuid(), 'here:8', false, now(), now() + interval '1 minute')",
    "insert into leases values ('purge', 'here:8 x', now() + interval '1 minute', now())",
  );
  const locker = new Client({ connectionString: url });
  const waiter = new Client({ connectionString: url });
  await Promise.all([locker.connect(), waiter.connect()]);
  await locker.query("begin; lock table cutoffs");
  const waiting = waiter.query("select from cutoffs").catch(() => undefined);
  onTestFinished(async () => {
    await locker.end();
    await waiting;
    await waiter.end();
  });
  const waited = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    and query_start < clock_timestamp() - interval '2 seconds'`;
  await vi.waitUntil(async () => (await runSql(url, waited)).length > 0, patience);
  const { of } = await examine({ DATABASE_URL: url });
  expect(of("replicas")).toMatchObject([
    { status: "ok", message: "serving: here:8" },
    finding("warn", /^gone:7 has not renewed its row for 6\d s$/),
  ]);
  expect(of("leases")).toMatchObject([finding("ok", /^purge: held by here:8, until /)]);
  expect(of("waits")).toMatchObject([finding("warn", /waited for a lock for \d+ s/)]);
});

test("names what a role that may only read and write lacks", async () => {
  const url = await databaseWith();
  const role = `doctor_${Date.now()}`;
  await runSql(url, `create role ${role} login password 'p'`);
  onTestFinished(async () => {
    await runSql(url, `drop owned by ${role}`);
    await runSql(url, `drop role ${role}`);
  });
  const DATABASE_URL = Object.assign(new URL(url), { username: role, password: "p" }).href;
  const SESSIOND_DATABASE_DIRECT_URL = url;
  await runSql(url, `grant select, insert, update, delete on all tables in schema public to ${role}`);
  const enough = await examine({ DATABASE_URL, SESSIOND_DATABASE_DIRECT_URL });
  expect(enough.of("privileges")).toMatchObject([{ status: "ok" }]);
  expect(enough.of("direct-url")).toEqual([]);
  await runSql(url, `revoke delete, update on sessions from ${role}`);
  await runSql(url, `revoke insert on leases from ${role}`);
  await runSql(url, `revoke insert on sessiond_migrations from ${role}`);
  const { of } = await examine({ DATABASE_URL, SESSIOND_DATABASE_DIRECT_URL });
  const [missing] = of("privileges");
  expect(missing).toMatchObject(finding("fail", /may not insert in leases; update, delete in sessions$/));
  for (const statement of missing?.mend?.match(/grant [^;]+;/g) ?? []) await runSql(url, statement);
  const mended = await examine({ DATABASE_URL, SESSIOND_DATABASE_DIRECT_URL });
  expect(mended.of("privileges")).toMatchObject([{ status: "ok" }]);
});

test("fails if the direct URL leads to another database or schema, and notifications do not arrive", async () => {
  const SESSIOND_DATABASE_DIRECT_URL = await databaseWith();
  const { of } = await examine({ SESSIOND_DATABASE_DIRECT_URL });
  expect(of("direct-url")).toMatchObject([
    finding("fail", /leads elsewhere than DATABASE_URL: database test_/),
  ]);
  expect(of("notifications")).toMatchObject([finding("warn", /do not arrive/)]);
  const same = await examine({ SESSIOND_DATABASE_DIRECT_URL: service.databaseUrl });
  expect(same.of("notifications")).toMatchObject([finding("ok", /arrive/)]);
  const schema = new URL(service.databaseUrl);
  schema.searchParams.set("options", "-c search_path=pg_catalog");
  const elsewhere = await examine({ SESSIOND_DATABASE_DIRECT_URL: schema.href });
  expect(elsewhere.of("direct-url")).toMatchObject([finding("fail", /schema pg_catalog, not public/)]);
});

test.skipIf(pgbouncerPath === undefined)(
  "recognizes a pooler, and prints role settings that mend it",
  async () => {
    const direct = await databaseWith();
    const role = `pooled_${Date.now()}`;
    await runSql(direct, `create role ${role} login superuser password 'p'`);
    onTestFinished(async () => {
      await runSql(direct, `drop owned by ${role}`);
      await runSql(direct, `drop role ${role}`);
    });
    // PgBouncer refuses the parameters of the embedded PostgreSQL's URL.
    const own = Object.assign(new URL(direct), { username: role, password: "p", search: "" }).href;
    const pgbouncer = await startPgBouncer([own]);
    const [DATABASE_URL = ""] = pgbouncer.urls;
    const pooled = await examine({ DATABASE_URL });
    const [slow] = pooled.of("pooler");
    expect(slow, pooled.text).toMatchObject(
      finding("warn", /the role lacks enable_seqscan, jit, plan_cache_mode/),
    );
    expect(pooled.of("direct-url")).toMatchObject([finding("warn", /through a pooler/)]);
    expect(pooled.of("notifications")).toMatchObject([finding("warn", /do not arrive/)]);
    for (const statement of slow?.mend?.match(/alter [^;]+;/g) ?? []) await runSql(direct, statement);
    await pgbouncer.command("reconnect");
    const mended = await examine({ DATABASE_URL, SESSIOND_DATABASE_DIRECT_URL: own });
    expect(mended.of("pooler")).toMatchObject([finding("ok", /settings of the role fit/)]);
    expect(mended.of("direct-url")).toEqual([]);
    expect(mended.of("notifications")).toMatchObject([{ status: "ok" }]);
  },
);

test("fails for a database that does not answer", async () => {
  const gone = await examine({ DATABASE_URL: "postgres://u:a-database-password@127.0.0.1:1/x" });
  expect(gone.of("database")).toMatchObject([finding("fail", /does not answer/)]);
  expect(gone.text).not.toContain("a-database-password");
});

test("fails for a PostgreSQL that is too old and a clock that is far off", async () => {
  const url = await databaseWith(...faking("server_version_num", "130014", "- interval '1 minute'"));
  const { of } = await examine({ DATABASE_URL: url });
  expect(of("database")).toMatchObject([finding("fail", /too old/)]);
  expect(of("clock")).toMatchObject([finding("fail", /(59|60)\d{3} ms behind/)]);
});

test("warns of a clock that is a little off", async () => {
  const url = await databaseWith(...faking("synchronous_commit", "off", "+ interval '5 seconds'"));
  const { of } = await examine({ DATABASE_URL: url });
  expect(of("clock")).toMatchObject([{ status: "warn" }]);
});

test("names a wrong database or password, and does not take a database that is read-only by default for a standby", async () => {
  const wrong = new URL(service.databaseUrl);
  wrong.pathname = "/no_such_database";
  const unknown = await examine({ DATABASE_URL: wrong.href });
  expect(unknown.of("database")).toMatchObject([finding("fail", /no database of the name/)]);

  const readOnly = await databaseWith(
    set("synchronous_commit = off"),
    set("default_transaction_read_only = on"),
  );
  const { of } = await examine({ DATABASE_URL: readOnly });
  expect(of("database")).toMatchObject([{ status: "ok" }]);
});

test.each([
  [
    "pending migrations",
    "delete from sessiond_migrations where name = '0001_initial'",
    finding("warn", /0001_initial/),
  ],
  [
    "a newer schema that can be served",
    `insert into sessiond_migrations values ('9999_future', now()::text);
     insert into sessiond_migrations_needs values ('9999_future', '0001_initial')`,
    finding("warn", /can still serve: .*9999_future/),
  ],
  [
    "any other newer schema",
    "insert into sessiond_migrations values ('9999_future', now()::text)",
    finding("fail", /9999_future/),
  ],
])("reports %s", async (_, statement, expected) => {
  const { of } = await examine({ DATABASE_URL: await databaseWith(statement) });
  expect(of("migrations")).toMatchObject([expected]);
});

test("fails for a recovery that was interrupted", async () => {
  const unfinished = "insert into recoveries values (gen_random_uuid(), false, now(), null)";
  const { of } = await examine({ DATABASE_URL: await databaseWith(unfinished) });
  expect(of("recovery")).toMatchObject([finding("fail", /is not finished/)]);
});

test("fails for signing keys that no master key opens", async () => {
  await newLogin(service);
  const another = Buffer.alloc(32, "another").toString("base64");
  const { of, text } = await examine({ SESSIOND_MASTER_KEY: another });
  expect(of("signing-keys")).toMatchObject([finding("fail", /which is not configured/)]);
  expect(text).not.toContain(another);
  const rotated = { SESSIOND_MASTER_KEY: another, SESSIOND_MASTER_KEYS_ACCEPTED: testMasterKey };
  const accepted = await examine(rotated);
  expect(accepted.of("signing-keys")).toMatchObject([{ status: "ok" }]);
});

test("fails for an address that another program uses, not for a free one", async () => {
  const other = createServer((socket) =>
    socket.resume().end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"),
  );
  const listen = `127.0.0.1:${await listenOnLoopback(other)}`;
  const taken = await examine({ SESSIOND_LISTEN: listen });
  expect(taken.of("listen-address")).toMatchObject([finding("fail", /another program/)]);
  await new Promise((resolve) => other.close(resolve));
  const free = await examine({ SESSIOND_LISTEN: listen });
  expect(free.of("listen-address")).toMatchObject([{ status: "ok", message: `${listen} is free` }]);
});

test("recognizes a service with TLS by its address", async () => {
  const listen = `127.0.0.1:${tls.port}`;
  const { of } = await examine({ ...folder.environment, SESSIOND_LISTEN: listen });
  expect(of("listen-address")).toMatchObject([{ status: "ok", message: `sessiond serves on ${listen}` }]);
});

test("fails for a named service that does not answer, and for a refused or incomplete credential", async () => {
  const gone = await examine({ SESSIOND_SERVER: "http://127.0.0.1:1" });
  expect(gone.of("service")).toMatchObject([finding("fail", /ECONNREFUSED/)]);
  const refused = await examine({ SESSIOND_SECRET: "a-wrong-secret" });
  expect(refused.of("service")).toMatchObject([finding("fail", /refuses the credential/)]);
  expect(refused.text).not.toContain("a-wrong-secret");
  const incomplete = await examine({ SESSIOND_SECRET: "" });
  expect(incomplete.of("service")).toMatchObject([finding("fail", /no secret for/)]);
});

const unset = { SESSIOND_SERVER: "", SESSIOND_PROJECT: "", SESSIOND_SECRET: "" };
const embedded = { ...unset, DATABASE_URL: "", SESSIOND_MASTER_KEY: "", SESSIOND_LISTEN: "127.0.0.1:0" };

test("accepts an empty folder, and leaves it empty", async () => {
  const cwd = await emptyFolder();
  const { findings, of } = await examine(embedded, cwd);
  expect(findings.map(({ status }) => status)).not.toContain("fail");
  expect(of("service")).toMatchObject([{ status: "skip" }]);
  expect(await readdir(cwd)).toEqual([]);
});

test("fails for a data directory that other users can read", async () => {
  const cwd = await emptyFolder();
  const directory = join(cwd, ".sessiond");
  await mkdir(directory, { mode: 0o755 });
  await writeFile(join(directory, "master.key"), "x", { mode: 0o644 });
  await chmod(directory, 0o755);
  const { of } = await examine(embedded, cwd);
  const mends = of("data-directory").map(({ status, mend }) => `${status}: ${mend}`);
  expect(mends).toEqual([`fail: chmod go= ${directory}`, `fail: chmod go= ${join(directory, "master.key")}`]);
});

test("checks the embedded database while it runs, and when it does not", { timeout: 90_000 }, async () => {
  const cwd = await emptyFolder();
  await chmod(cwd, 0o755);
  const serving = serveProcess({}, cwd);
  const url = `http://127.0.0.1:${await serving.listening}`;
  const { findings, of } = await examine({ ...embedded, SESSIOND_SERVER: url }, cwd);
  expect(findings.filter(({ status }) => status !== "ok")).toEqual([]);
  expect(of("service")).toMatchObject([{ message: `${url} accepts the credential of project development` }]);
  serving.signal("SIGTERM");
  expect(await serving.ended).toBe(0);
  const later = await examine(embedded, cwd);
  expect(later.of("database")).toMatchObject([{ status: "ok" }]);
  expect(later.of("signing-keys")).toMatchObject([{ status: "ok" }]);
});
