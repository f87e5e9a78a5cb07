import { createServer } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { createBookkeeping } from "../../../src/storage/schema/bookkeeping.ts";
import { logged, serveProcess } from "../../support/process/serve-process.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { listenOnLoopback } from "../cli/command-process.ts";
import { databaseOfFile, holdRevocations, secret, serveOn, sessionsOn } from "./operating.ts";

const databaseUrl = await databaseOfFile();

test("reports all problems of the configuration at once, without values", async () => {
  const values = {
    DATABASE_URL: "mysql://user:secret-password@host/db",
    SESSIOND_LISTEN: "nowhere-at-all",
    SESSIOND_BOOTSTRAP_PROJECT: "no colon, but a-secret",
    SESSIOND_LOG_LEVEL: "loud-and-clear",
    SESSIOND_MAX_MESSAGE_BYTES: "many-bytes",
    SESSIOND_KRATOS_PREFIX: "auth-without-slash",
    SESSIOND_KRATOS_ALLOWED_ORIGINS: "no-origin.example",
  };
  const process = serveProcess(values);
  expect(await process.ended).toBe(1);
  expect(process.stdout()).toBe("");
  const [first, ...others] = process.stderr().trimEnd().split("\n");
  expect(first).toBe("sessiond cannot start:");
  const named = others.map((line) => /^ {2}(\w+): \S/.exec(line)?.[1]);
  expect(new Set(named)).toEqual(new Set([...Object.keys(values), "SESSIOND_MASTER_KEY"]));
  expect(process.stderr()).toContain(
    "SESSIOND_MASTER_KEY: is required with DATABASE_URL: 32 bytes in base64",
  );
  expect(process.stderr()).toContain("must be a whole number of bytes from 16384 to 67108864");
  for (const value of Object.values(values)) expect(process.stderr()).not.toContain(value);
});

test("reports an unreachable database without its password", async () => {
  const url = new URL(databaseUrl);
  Object.assign(url, { port: "1", password: "a-database-password" });
  const process = serveOn(url.href);
  expect(await process.ended).toBe(1);
  expect(process.stderr()).toContain("sessiond cannot start: the database does not answer\n  because: ");
  expect(process.stderr()).not.toContain("a-database-password");
  expect(process.stderr()).not.toMatch(/ {4}at /);
});

test("says that it waits for a lock on the tables of migrations, and ends at SIGTERM", async () => {
  const url = await databaseOfTest();
  const holder = new Client({ connectionString: url });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query("begin; lock table sessiond_migrations in access exclusive mode");
  const process = serveOn(url);
  await logged(
    process,
    "waits for the schema of the database to be read: another statement may lock the tables of migrations",
  );
  process.signal("SIGTERM");
  expect(await process.ended).toBe(143);
});

test("refuses a database whose recovery was interrupted", async () => {
  const url = await databaseOfTest();
  await runSql(url, "insert into recoveries values (gen_random_uuid(), false, now(), null)");
  const process = serveOn(url);
  expect(await process.ended).toBe(1);
  expect(process.stderr()).toMatch(/recovery .* is not finished.*run `sessiond recover` again/s);
});

/** A database whose schema has an unknown migration. */
async function newerDatabase(allowsThisVersion: boolean) {
  const url = await databaseOfTest();
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query("insert into sessiond_migrations values ('9999_from_the_future', now()::text)");
  if (allowsThisVersion) {
    await client.query(
      "insert into sessiond_migrations_needs select '9999_from_the_future', max(migration) from sessiond_migrations_needs",
    );
  }
  await client.end();
  return url;
}

test("rejects a newer schema", async () => {
  const process = serveOn(await newerDatabase(false));
  expect(await process.ended).toBe(1);
  expect(process.stderr()).toContain("newer than this version of sessiond");
  expect(process.stderr()).toContain("9999_from_the_future");
});

test("serves a newer schema that allows this version, and leaves it unchanged", async () => {
  const bootstrap = { SESSIOND_BOOTSTRAP_PROJECT: `rolled-back:${secret}` };
  const process = serveOn(await newerDatabase(true), bootstrap);
  await (await sessionsOn(process, "rolled-back")).create({ memberId: "m" });
  expect(process.stderr()).toContain('"migration":"9999_from_the_future"');
  process.signal("SIGTERM");
  expect(await process.ended).toBe(0);
});

test("reports an address in use; warns of an unknown variable", async () => {
  const one = serveOn(databaseUrl, { SESSIOND_LISTENS: "x" });
  const port = await one.listening;
  const other = serveOn(databaseUrl, { SESSIOND_LISTEN: `127.0.0.1:${port}` });
  expect(await other.ended).toBe(1);
  expect(other.stderr()).toContain(`127.0.0.1:${port}`);
  expect(one.stderr()).toContain("SESSIOND_LISTENS is not a variable of this version");
});

describe("with a bootstrap project", () => {
  const environment = { SESSIOND_BOOTSTRAP_PROJECT: `bootstrapped:${secret}` };

  test("creates it once with all permissions, and never prints its secret", async () => {
    const first = serveOn(databaseUrl, environment);
    const sessions = await sessionsOn(first, "bootstrapped");
    const { token } = await sessions.create({ memberId: "m" });
    await sessions.revokeAll({ scope: { case: "project", value: {} }, validateOnly: true });
    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);

    const second = serveOn(databaseUrl, environment);
    const credential = { case: "token", value: token } as const;
    await (await sessionsOn(second, "bootstrapped")).authenticate({ credential });
    second.signal("SIGINT");
    expect(await second.ended).toBe(0);
    for (const text of [first.stdout(), first.stderr(), second.stdout(), second.stderr()]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(token);
    }
  });

  test("reports another secret for an existing project, and changes nothing", async () => {
    const another = "another-secret-that-was-never-stored";
    const process = serveOn(databaseUrl, { SESSIOND_BOOTSTRAP_PROJECT: `bootstrapped:${another}` });
    const stranger = await sessionsOn(process, "bootstrapped", another);
    expect(process.stderr()).toContain("no credential of this project");
    await expect(stranger.list({ memberId: "m" })).rejects.toThrow("malformed, unknown or disabled");
    await (await sessionsOn(process, "bootstrapped")).list({ memberId: "m" });
  });
});

describe("a start that waits", () => {
  /** A database in which another process migrates. */
  async function migratingDatabase() {
    const url = await databaseOfTest("template0");
    const { db, close } = openStore(url);
    onTestFinished(close);
    await createBookkeeping(db);
    await runSql(
      url,
      "insert into leases values ('migrations', 'web-7:12 x', now() + interval '1 hour', now())",
    );
    return url;
  }

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("says for what, and %s ends it at once with %i", async (signal, status) => {
    const url = await migratingDatabase();
    const process = serveOn(url);
    await logged(process, "waits for the migration by web-7:12");
    process.signal(signal);
    expect(await process.ended).toBe(status);
    expect(process.stdout()).toBe("");
  });

  test("starts when the other process has died and its lease expires", async () => {
    const url = await migratingDatabase();
    const process = serveOn(url);
    await logged(process, "waits for the migration by web-7:12");
    await runSql(url, "update leases set until_time = now()");
    expect(await process.listening).toBeGreaterThan(0);
  });

  test("names a database that does not answer, until the connect timeout", async () => {
    const silent = createServer();
    const port = await listenOnLoopback(silent);
    const url = `postgres://user:a-database-password@127.0.0.1:${port}/x`;
    const process = serveOn(url, { SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: "60000" });
    await logged(process, `waits for the database at 127.0.0.1:${port}, which does not answer`);
    process.signal("SIGTERM");
    expect(await process.ended).toBe(143);
    expect(process.stderr()).not.toContain("a-database-password");
  });
});

describe("SIGTERM", () => {
  test("finishes calls in flight, notifies watchers, and exits with 0", async () => {
    const process = serveOn(databaseUrl, { SESSIOND_BOOTSTRAP_PROJECT: `drained:${secret}` });
    const url = `http://127.0.0.1:${await process.listening}`;
    const sessions = await sessionsOn(process, "drained");
    await sessions.create({ memberId: "m" });
    const watched = createClient(Health, createGrpcTransport({ baseUrl: url })).watch({});
    const seen = watched[Symbol.asyncIterator]();
    await seen.next();

    const { waited, release } = await holdRevocations(databaseUrl);
    const inFlight = sessions.revokeAll({ scope: { case: "project", value: {} } });
    await waited();

    process.signal("SIGTERM");
    expect(await seen.next()).toMatchObject({ value: { status: 2 } });
    await expect(seen.next()).rejects.toThrow(/\[unavailable\]/);
    await release();
    expect((await inFlight).revision).toBe(1n);
    expect(await process.ended).toBe(0);
    expect(process.stderr()).toContain('"stopped"');
  });
});
