import { hostname } from "node:os";
import { Client } from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import { heldLeases } from "../../../src/storage/schema/lease.ts";
import {
  type Migrations,
  makeServable,
  migrateToLatest,
  migrations,
} from "../../../src/storage/schema/migrate.ts";
import { type SchemaMigration, inOrder } from "../../../src/storage/schema/migrations/schema-migration.ts";
import { patience } from "../../support/patience.ts";
import { storedProject } from "../../support/fixtures/stored.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";

const emptyDatabase = () => databaseOfTest("template0");

/** A store of the database that is closed after the test. */
function opened(url: string, maxConnections = 2) {
  const one = openStore(url, { maxConnections });
  onTestFinished(() => one.close());
  return one;
}

/** The URL with these settings for every connection, as a role or database may have. */
function withSettings(url: string, settings: string): string {
  const changed = new URL(url);
  changed.searchParams.set("options", settings);
  return changed.href;
}

/** A database in which each of these schemas exists, and the URL of a user of each. */
async function schemasIn(url: string, ...names: string[]) {
  for (const name of names) await runSql(url, `create schema ${name}`);
  return names.map((name) => withSettings(url, `-c search_path=${name},public`));
}

const tables = (url: string, schema: string) =>
  runSql<{ name: string }>(url, "select tablename as name from pg_tables where schemaname = $1", schema);

const next: Migrations = {
  ...migrations,
  "9000_indexed": {
    up: async () => undefined,
    indexes: {
      one_more: "sessions (project_id, create_time)",
      another: "sessions (project_id, expire_time)",
    },
  },
};

test("twelve processes that start at once on an empty database apply each migration once", async () => {
  const url = await emptyDatabase();
  const stores = Array.from({ length: 12 }, () => opened(url));
  const applied = await Promise.all(stores.map(({ db }) => migrateToLatest(db, { all: next })));
  expect(applied.flat()).toEqual(["0001_initial", "9000_indexed"]);
  for (const { store } of stores) await storedProject(store);
  expect(await runSql(url, "select from pg_locks where locktype = 'advisory'")).toEqual([]);
  expect(await heldLeases(stores[0]!.db)).toEqual([]);
});

test("settings of the role do not end migrations and index builds", async () => {
  const url = await emptyDatabase();
  const hostile = [
    "-c statement_timeout=100ms",
    "-c lock_timeout=1ms",
    "-c idle_in_transaction_session_timeout=1ms",
    "-c default_transaction_read_only=on",
    "-c default_transaction_isolation=serializable",
    "-c default_transaction_deferrable=on",
    "-c synchronous_commit=off",
  ].join(" ");
  const slow: SchemaMigration = {
    up: inOrder([
      "select pg_sleep(0.3)",
      "create function slow(i int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.3); return i; end $$",
      "create table slow_rows as select 1 as i",
    ]),
    indexes: { slowly_built: "slow_rows (slow(i))" },
  };
  const all = { ...migrations, "9000_slow": slow };
  const { db } = openStore(withSettings(url, hostile), { maxConnections: 2, statementTimeoutMs: 0 });
  onTestFinished(() => db.destroy());
  expect(await migrateToLatest(db, { all })).toEqual(["0001_initial", "9000_slow"]);
  expect(await migrateToLatest(db, { all })).toEqual([]);
});

test("deployments in two schemas of a database do not see each other, nor tables of other programs", async () => {
  const url = await emptyDatabase();
  await runSql(url, "create table schema_migrations (version varchar primary key)");
  await runSql(url, "create table schema_migrations_lock (id int)");
  const urls = [url, ...(await schemasIn(url, "one", "two"))];
  for (const each of urls) {
    const { db, store } = opened(each);
    expect(await migrateToLatest(db, { all: next })).toEqual(["0001_initial", "9000_indexed"]);
    expect(await migrateToLatest(db, { all: next })).toEqual([]);
    await storedProject(store);
  }
  const counts = await Promise.all(
    ["public", "one", "two"].map(async (name) => (await tables(url, name)).length),
  );
  expect(counts).toEqual([counts[1]! + 2, counts[1], counts[1]]);
  const indexes = await runSql(url, "select from pg_indexes where indexname = 'one_more'");
  expect(indexes).toHaveLength(3);
});

test("a role that may only read and write serves what the owner has migrated", async () => {
  const url = await databaseOfTest();
  const role = `server_${Date.now()}`;
  await runSql(url, `create role ${role} login password 'p'`);
  onTestFinished(async () => {
    await runSql(url, `drop owned by ${role}`);
    await runSql(url, `drop role ${role}`);
  });
  await runSql(url, `revoke create on schema public from public`);
  await runSql(url, `grant select, insert, update, delete on all tables in schema public to ${role}`);
  const asRole = Object.assign(new URL(url), { username: role, password: "p" });
  const { db, store } = opened(asRole.href);
  expect(await makeServable(db)).toEqual({ applied: [], newer: undefined });
  await storedProject(store);

  await expect(migrateToLatest(db, { all: next })).rejects.toThrow(/run `sessiond migrate` as the role/);
});

test("a role that may create nothing is told what to run", async () => {
  const url = await emptyDatabase();
  const role = `poor_${Date.now()}`;
  await runSql(url, `create role ${role} login password 'p'`);
  onTestFinished(() => runSql(url, `drop role ${role}`).then(() => undefined));
  await runSql(url, `revoke create on schema public from public`);
  const { db } = opened(Object.assign(new URL(url), { username: role, password: "p" }).href);
  await expect(migrateToLatest(db)).rejects.toThrow(/create schema sessiond authorization/);
  const lost = opened(withSettings(url, "-c search_path=nowhere"));
  await expect(migrateToLatest(lost.db)).rejects.toThrow(/no schema of the search path exists: /);
});

/** A migrated database in which the next index build waits until `release`. */
async function heldBuild() {
  const url = await emptyDatabase();
  const { db } = opened(url);
  await migrateToLatest(db);
  const lock = new Client({ connectionString: url });
  await lock.connect();
  onTestFinished(() => lock.end());
  await lock.query("begin; lock table sessions in access exclusive mode");
  return { url, db, release: () => lock.query("rollback") };
}

test("while one process migrates, others wait, and say for whom", async () => {
  const { url, db, release } = await heldBuild();
  const building = migrateToLatest(db, { all: next });
  await vi.waitUntil(async () => (await heldLeases(db)).length === 1, patience);
  const [held] = await heldLeases(db);
  const causes = new Set<string>();
  const waiting = migrateToLatest(opened(url).db, { all: next, onWait: (cause) => causes.add(cause) });
  await vi.waitUntil(() => causes.size > 0, patience);
  expect([...causes]).toEqual([`the migration by ${hostname()}:${process.pid}`]);
  expect(held).toMatchObject({ name: "migrations", process: `${hostname()}:${process.pid}` });
  await release();
  expect(await Promise.all([building, waiting])).toEqual([["9000_indexed"], []]);
});

test("the work of a process that died is taken over when its lease expires", async () => {
  const url = await emptyDatabase();
  const { db } = opened(url);
  await migrateToLatest(db, { all: next });
  await runSql(url, "update pg_index set indisvalid = false where indexrelid = 'one_more'::regclass");
  await runSql(url, "update leases set holder = 'dead:1 x', until_time = now() + interval '2 seconds'");
  const causes = new Set<string>();
  await migrateToLatest(db, { all: next, onWait: (cause) => causes.add(cause) });
  expect([...causes]).toEqual(["the migration by dead:1"]);
  const valid = "select from pg_index where indexrelid = 'one_more'::regclass and indisvalid";
  expect(await runSql(url, valid)).toHaveLength(1);
});

test("two processes that build the same index, because a lease was lost, both end", async () => {
  const { url, db, release } = await heldBuild();
  const builds = [migrateToLatest(db, { all: next })];
  await vi.waitUntil(async () => (await heldLeases(db)).length === 1, patience);
  await runSql(url, "update leases set until_time = now(), holder = 'lost:1 x'");
  builds.push(migrateToLatest(opened(url).db, { all: next }));
  await vi.waitUntil(async () => !(await heldLeases(db)).some((one) => one.process === "lost:1"), patience);
  await release();
  await Promise.all(builds);
  const valid =
    "select from pg_index where indexrelid in ('one_more'::regclass, 'another'::regclass) and indisvalid";
  expect(await runSql(url, valid)).toHaveLength(2);
});

test("the lease is renewed while an index is built", async () => {
  const { db, release } = await heldBuild();
  const building = migrateToLatest(db, { all: next });
  const until = async () => (await heldLeases(db))[0]?.untilTime.getTime() ?? 0;
  await vi.waitUntil(async () => (await until()) > 0, patience);
  const first = await until();
  await vi.waitUntil(async () => (await until()) > first, patience);
  await release();
  await building;
  expect(await heldLeases(db)).toEqual([]);
});
