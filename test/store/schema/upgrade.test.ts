import { readdirSync } from "node:fs";
import { type Kysely, sql } from "kysely";
import { Client } from "pg";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  type Migrations,
  makeServable,
  migrateToLatest,
  migrations,
} from "../../../src/storage/schema/migrate.ts";
import type { Tables } from "../../../src/storage/schema/tables.ts";
import { type SchemaMigration, inOrder } from "../../../src/storage/schema/migrations/schema-migration.ts";
import { storedProject } from "../../support/fixtures/stored.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { useStore } from "../../support/postgres/use-store.ts";
import { faultsOf } from "./upgrade/migration-faults.ts";
import { readRecording } from "./upgrade/recording.ts";
import { OldCode } from "./upgrade/replay.ts";
import { useEverything } from "./upgrade/scenario.ts";

const opened = useStore();
const names = Object.keys(migrations);
/** The newest migration of the first release. */
const first = "0001_initial";
const recorded = readdirSync(new URL("upgrade/recorded", import.meta.url)).map((file) =>
  file.replace(".json", ""),
);

async function tablesIn(db: Pick<Kysely<Tables>, "getExecutor">): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables
    where schemaname = 'public' and tablename not like 'sessiond_migrations%' order by tablename`.execute(db);
  return rows.map(({ name }) => name);
}

/** A next migration with everything that a release may do. */
const madeUp: SchemaMigration = {
  up: async (db) => {
    for (const name of await tablesIn(db)) {
      await sql`alter table ${sql.table(name)} add column made_up text, add column flag boolean not null default false`.execute(
        db,
      );
    }
    await sql`alter table revocations drop constraint revocations_scope_check`.execute(db);
    await sql`alter table revocations add constraint revocations_scope_check check (scope <> '') not valid`.execute(
      db,
    );
    await sql`create table made_up (id text primary key)`.execute(db);
    await sql`create index made_up_by_id on made_up (id desc)`.execute(db);
  },
  indexes: { sessions_made_up: "sessions (project_id, made_up)", "made up, too": "sessions (flag)" },
};
const next: Migrations = { ...migrations, "9000_made_up": madeUp };

/** The migrations up to `name`. */
function upTo(name: string): Migrations {
  return Object.fromEntries(names.slice(0, names.indexOf(name) + 1).map((name) => [name, migrations[name]!]));
}

/** A database with the schema of these migrations, or without one. */
async function databaseWith(all: Migrations = {}) {
  const url = await databaseOfTest("template0");
  const { db, close } = openStore(url);
  onTestFinished(close);
  const migrate = (all: Migrations) => migrateToLatest(db, { all });
  if (Object.keys(all).length > 0) await migrate(all);
  return { url, migrate, db };
}

/** A database with these migrations, in which the first release has written. */
async function usedDatabase(all = migrations): Promise<string> {
  const { url } = await databaseWith(all);
  await (await oldCode(url, first)).go();
  return url;
}

async function oldCode(url: string, name: string): Promise<OldCode> {
  const code = await OldCode.connect(url, readRecording(name));
  onTestFinished(() => code.close());
  return code;
}

test("the recording uses every method of the store", async () => {
  const { store, lostAccesses } = opened;
  const groups: object[] = [store.sessions, store.revocations, store.projects, store.signingKeys];
  const spies = groups.flatMap((group) => {
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(group)).slice(1); // without the constructor
    return methods.map((name) => ({ name, spy: vi.spyOn(group as Record<string, () => unknown>, name) }));
  });
  await useEverything(store);
  expect(spies.length).toBeGreaterThan(30);
  expect(spies.filter(({ spy }) => spy.mock.calls.length === 0).map(({ name }) => name)).toEqual([]);
  expect(lostAccesses).toEqual([]);
});

test("there is a recording of the first release", () => {
  expect(recorded).toContain(first);
});

describe.each(recorded)("code that knows migrations up to %s", (name) => {
  test.each([
    ["of this version", migrations],
    ["of a next one", next],
  ])("gets the recorded answers on the schema %s", async (_, all) => {
    const { url } = await databaseWith(all);
    const code = await oldCode(url, name);
    expect(code.length).toBeGreaterThan(200);
    expect(await code.go()).toEqual([]);
  });

  test.each([0.25, 0.5, 0.75])(
    "continues, from %f of its way, while the schema is migrated to a next version",
    async (part) => {
      const { url, migrate } = await databaseWith(upTo(name));
      const code = await oldCode(url, name);
      const before = await code.go(Math.floor(part * code.length));
      const [applied, after] = await Promise.all([migrate(next), code.go()]);
      expect([...before, ...after]).toEqual([]);
      expect(applied).toContain("9000_made_up");
    },
  );

  test("is not blocked by a migration that waits for a table, and the migration gives up in the end", async () => {
    const { url, migrate, db } = await databaseWith(upTo(name));
    const holder = await oldCode(url, name);
    await holder.goIntoTransaction();
    const migrating = migrate(next);
    await vi.waitUntil(() => waiting(db), patience);
    const reader = new Client({ connectionString: url, statement_timeout: 10_000 });
    await reader.connect();
    onTestFinished(() => reader.end());
    for (const table of await tablesIn(db)) await reader.query(`select from ${table} limit 1`);
    expect(await holder.go()).toEqual([]);
    expect(await migrating).toContain("9000_made_up");
  });
});

/** Whether a statement waits for a table lock. */
async function waiting(db: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql`select from pg_locks where locktype = 'relation' and not granted`.execute(db);
  return rows.length > 0;
}

test("each migration after the first release only expands, or states its needs, and locks tables briefly", async () => {
  for (const name of names.slice(names.indexOf(first) + 1)) {
    const url = await usedDatabase(upTo(names[names.indexOf(name) - 1] ?? ""));
    const migration = migrations[name];
    expect(migration && (await faultsOf(url, migration)), name).toEqual([]);
  }
});

describe("a migration", () => {
  const faults = async (statement: string, needs?: string) => {
    const up = inOrder([statement]);
    return faultsOf(await usedDatabase(), needs === undefined ? { up } : { up, needs });
  };

  test("has no faults if it only expands", async () => {
    expect(await faultsOf(await usedDatabase(), madeUp)).toEqual([]);
  });

  test.each([
    ["create index i on session_tokens (project_id, session_id)", "session_tokens: rows are read or written"],
    ["update sessions set user_agent = ''", "sessions: rows are read or written"],
    ["alter table sessions add column c text default gen_random_uuid()::text", "sessions: is rewritten"],
    ["alter table sessions alter column user_agent set not null", "contracts without `needs`: set not null"],
    [
      "alter table revocations add constraint c check (revision > 0)",
      "revocations: rows are read or written",
    ],
    ["alter table sessions drop column roles", "contracts without `needs`: drop column roles"],
    ["drop index sessions_by_member", "contracts without `needs`: drop index sessions_by_member"],
    ["alter table sessions rename column roles to others", "contracts without `needs`: rename"],
    [
      "alter table sessions alter column roles type varchar[]",
      "contracts without `needs`: alter column roles type",
    ],
  ])("%s: %s", async (statement, fault) => {
    expect(await faults(statement)).toContain(fault);
  });

  test("may drop unused columns if it states its needs", async () => {
    expect(await faults("alter table sessions drop column roles", first)).toEqual([]);
  });
});

describe("an older version that starts on a newer schema", () => {
  const start = async (newer: Migrations) => {
    const { migrate, db } = await databaseWith(migrations);
    await migrate(newer);
    return makeServable(db);
  };

  test("serves if the newer migrations only expand, and changes nothing", async () => {
    expect(await start(next)).toEqual({ applied: [], newer: "9000_made_up" });
  });

  test("serves if it knows the needed migration", async () => {
    const contracting = { ...madeUp, needs: names.at(-1) ?? "" };
    expect(await start({ ...migrations, "9000_made_up": contracting })).toMatchObject({
      newer: "9000_made_up",
    });
  });

  test("is refused after a migration that removes something it uses, and after later ones", async () => {
    const nothing: SchemaMigration = { up: async () => undefined };
    const contracting = { ...nothing, needs: "9000_made_up" };
    await expect(start({ ...next, "9001_contracting": contracting, "9002_later": nothing })).rejects.toThrow(
      /newer than this version of sessiond: it has migration 9000/,
    );
  });

  test("is refused if the newer migration did not record its needs", async () => {
    const { db } = await databaseWith(migrations);
    await sql`insert into sessiond_migrations (name, timestamp) values ('9000_by_hand', '2030-01-01')`.execute(
      db,
    );
    await expect(makeServable(db)).rejects.toThrow(
      /newer than this version of sessiond: it has migration 9000/,
    );
  });
});

test("one of several starting replicas builds the indexes, and an interrupted build is repeated", async () => {
  const { url, db, migrate } = await databaseWith(migrations);
  const others = [openStore(url), openStore(url)];
  onTestFinished(async () => void (await Promise.all(others.map((other) => other.close()))));
  const migrateAll = () =>
    Promise.all([migrate(next), ...others.map((other) => migrateToLatest(other.db, { all: next }))]);
  const valid = async () => {
    const { rows } = await sql<{ name: string; valid: boolean }>`
      select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
      where c.relname in ('sessions_made_up', 'made up, too') order by 1`.execute(db);
    return rows;
  };
  const both = [
    { name: "made up, too", valid: true },
    { name: "sessions_made_up", valid: true },
  ];
  expect((await migrateAll()).flat()).toEqual(["9000_made_up"]);
  expect(await valid()).toEqual(both);
  await sql`update pg_index set indisvalid = false where indexrelid = 'sessions_made_up'::regclass`.execute(
    db,
  );
  expect((await migrateAll()).flat()).toEqual([]);
  expect(await valid()).toEqual(both);
});

test("concurrent migrations of an empty database apply each migration once", async () => {
  const url = await databaseOfTest("template0");
  const replicas = Array.from({ length: 4 }, () => openStore(url));
  try {
    const applied = await Promise.all(replicas.map(({ db }) => migrateToLatest(db)));
    expect(applied.flat()).toEqual(["0001_initial"]);
    for (const { store } of replicas) await storedProject(store);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
});

test("rejects a schema that is newer than the code, and says which version to start", async () => {
  expect(await migrateToLatest(opened.db)).toEqual([]);
  const future = sql`insert into sessiond_migrations (name, timestamp) values ('0999_future', '2030-01-01')`;
  await future.execute(opened.db);
  await expect(migrateToLatest(opened.db)).rejects.toThrow(
    /schema is newer than this version of sessiond: it has migration 0999_future\. Start/,
  );
});
