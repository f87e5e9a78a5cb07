import { sql } from "kysely";
import { Client } from "pg";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SessiondError } from "../../../src/domain/errors.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import { withDatabaseErrors } from "../../../src/storage/connection/database-errors.ts";
import { readDatabaseFacts } from "../../../src/storage/connection/database-facts.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import type { Db } from "../../../src/storage/schema/tables.ts";
import { unlimited } from "../../../src/transport/call-context.ts";
import { newSession, revokeTarget, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { patience } from "../../support/patience.ts";
import { hostileRole } from "../../support/pooler/hostile-role.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { holding } from "../../support/postgres/operator.ts";
import { pgbouncerPath, startPgBouncer } from "../../support/pooler/pgbouncer.ts";
import { replicatedPostgres } from "../../support/postgres/replicated-postgres.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { useEverything } from "../../store/schema/upgrade/scenario.ts";

async function clientOf(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

function open(...[url, limits]: Parameters<typeof openStore>): OpenStore {
  const opened = openStore(url, { maxConnections: 8, ...limits });
  onTestFinished(() => opened.close());
  return opened;
}

/** Records with which synchronous_commit rows of these tables are written. */
async function recordCommits(url: string, tables: readonly string[]) {
  await runSql(url, "create table seen (setting text)");
  await runSql(url, "grant all on seen to public");
  await runSql(
    url,
    `create function record() returns trigger language plpgsql as $$
       begin insert into seen values (current_setting('synchronous_commit')); return null; end $$`,
  );
  for (const table of tables) {
    await runSql(
      url,
      `create trigger record after insert or update or delete on ${table} execute function record()`,
    );
  }
  return async () => {
    const rows = await runSql<{ setting: string }>(url, "select distinct setting from seen");
    return rows.map(({ setting }) => setting);
  };
}

const written = ["sessions", "session_tokens", "revocations", "cutoffs", "projects", "signing_keys"];

/** Uses every statement of a store, and text that LATIN1 does not have. */
async function expectToWork({ store, db, lostAccesses }: OpenStore): Promise<void> {
  await useEverything(store);
  const project = await storedProject(store);
  const { session } = await storedSession(store, project, {
    device: { userAgent: "日本 \\ 'x'", ipAddress: "" },
  });
  expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
  const { rows } = await sql<{ agent: Buffer }>`
    select convert_to(user_agent, 'UTF8') as agent from sessions where id = ${session.id}`.execute(db);
  expect(rows[0]?.agent.toString()).toBe(session.device.userAgent);
  expect(lostAccesses).toEqual([]);
}

test("defaults of the role change nothing on a direct connection", { timeout: 60_000 }, async () => {
  const url = await databaseOfTest();
  const role = await hostileRole(url);
  const commits = await recordCommits(url, written);
  await expectToWork(open(role.url));
  expect(await commits()).toEqual(["on"]);
});

test("statements of migrations have no timeout, even if the role has one", async () => {
  const role = await hostileRole(await databaseOfTest());
  await role.set("statement_timeout", "100ms");
  await role.set("transaction_timeout", "100ms").catch(() => undefined); // not known to older versions
  const { db } = open(role.url, { statementTimeoutMs: 0 });
  const sleep = (db: Db) => sql`select pg_sleep(0.3)`.execute(db);
  expect(await sleep(db)).toBeDefined();
  expect(await db.transaction().execute(sleep)).toBeDefined();
});

describe.skipIf(pgbouncerPath === undefined)(
  "behind PgBouncer in transaction mode",
  { timeout: 60_000 },
  () => {
    /** A pooler for a database and a role with hostile defaults, except those that are refused behind a pooler. */
    async function pooled() {
      const url = await databaseOfTest();
      const role = await hostileRole(url);
      await role.set("array_nulls", "on");
      const pooler = await startPgBouncer([role.url, url]);
      const [through = "", owner = ""] = pooler.urls;
      return { url, role, pooler, through, owner };
    }

    test("every statement works with the defaults of the role, also unprepared", async () => {
      const { url, through } = await pooled();
      const commits = await recordCommits(url, written);
      await expectToWork(open(through));
      await expectToWork(open(through, { preparedStatements: false }));
      expect(await commits()).toEqual(["on"]);
    });

    const calls: Record<string, (store: PostgresStore, project: Project) => Promise<unknown>> = {
      read: ({ projects }, { id }) => projects.findProject(id),
      write: (store, project) => storedSession(store, project),
      transaction: ({ projects }, { id }) => projects.updateProject(id, () => ({ policy: defaultPolicy })),
    };

    test.each(Object.entries(calls))(
      "a %s whose prepared statement the pooler loses does not fail, and it is noticed once",
      async (_kind, call) => {
        const { owner } = await pooled();
        const lost: Error[] = [];
        const options = { maxConnections: 1, onPreparedStatementsLost: (error: Error) => lost.push(error) };
        const opened = open(owner, options);
        const project = await storedProject(opened.store);
        for (let i = 0; i < 2; i++) await call(opened.store, project);
        expect(lost).toEqual([]);
        // It takes the only server connection, so the next call gets another one.
        const other = await clientOf(owner);
        await other.query("begin");
        for (let i = 0; i < 3; i++) await call(opened.store, project);
        expect(lost).toMatchObject([{ code: "26000" }]);
        // The first connection still has the statements, under the names of another client.
        const second = open(owner, options);
        const busy = await clientOf(owner);
        await busy.query("begin");
        await other.query("rollback");
        for (let i = 0; i < 3; i++) await call(second.store, project);
        expect(lost).toMatchObject([{ code: "26000" }, { code: "42P05" }]);
        await busy.query("rollback");
        expect(opened.connectionErrors).toEqual([]);
      },
    );

    test("server connections that are replaced under load lose no durability", async () => {
      const { url, through, pooler } = await pooled();
      const commits = await recordCommits(url, written);
      const opened = open(through);
      const project = await storedProject(opened.store);
      const over = new AbortController();
      let revoked = 0;
      const failures = new Set<string>();
      const client = async () => {
        while (!over.signal.aborted) {
          try {
            const { session } = await storedSession(opened.store, project);
            await revokeTarget(opened.store, project, { scope: "session", id: session.id });
            revoked++;
          } catch (error) {
            failures.add(error instanceof SessiondError ? error.reason : String(error));
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 8 }, client));
      for (let i = 0; i < 10; i++) {
        const before = revoked;
        await vi.waitUntil(() => revoked > before + 20, patience);
        await pooler.command("reconnect");
      }
      over.abort();
      await clients;
      // PgBouncer ends a client whose server connection it replaces during its login.
      failures.delete("DATABASE_UNAVAILABLE");
      expect([...failures]).toEqual([]);
      expect(await commits()).toEqual(["on"]);
    });

    test("its settings do not leak to other users of the pool", async () => {
      const { owner } = await pooled();
      const settings = `select name, setting from pg_settings where source = 'session'
      and name not in ('application_name', 'TimeZone', 'DateStyle', 'client_encoding', 'standard_conforming_strings')`;
      await expectToWork(open(owner));
      // On each server connection of the pool.
      const others = await Promise.all([1, 2, 3].map(() => clientOf(owner)));
      for (const other of others) await other.query("begin");
      for (const other of others) expect((await other.query(settings)).rows).toEqual([]);
      const pids = await Promise.all(others.map((other) => other.query("select pg_backend_pid() as pid")));
      expect(new Set(pids.map(({ rows }) => rows[0].pid)).size).toBe(3);
      for (const other of others) await other.query("rollback");
    });

    test("a read ends at its deadline and after the general timeout", async () => {
      const { url, owner } = await pooled();
      const { store } = open(owner, { statementTimeoutMs: 1000 });
      const project = await storedProject(store);
      const operator = await clientOf(url);
      const observer = await clientOf(url);
      const waiting = async () => {
        const { rowCount } = await observer.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return rowCount;
      };
      await holding(operator, "lock table projects, sessions in access exclusive mode", async () => {
        const soon = { ...unlimited, deadline: performance.now() + 300 };
        const found = store.projects.findProject(project.id, soon);
        await expect(found).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
        const other = store.sessions.findSession(project.id, newSession(project).id);
        await expect(other).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
        await expect.poll(waiting, patience).toBe(0);
      });
      expect(await store.projects.findProject(project.id)).toEqual(project);
    });

    test("refuses array_nulls = off, and says what to run", async () => {
      const { role, pooler, through } = await pooled();
      await role.set("array_nulls", "off");
      await pooler.command("reconnect");
      const { db } = open(through);
      const asking = withDatabaseErrors(() => sql`select 1`.execute(db));
      await expect(asking).rejects.toMatchObject({
        reason: "DATABASE_UNAVAILABLE",
        cause: { message: expect.stringContaining("set array_nulls = on") },
      });
    });

    test("a standby that takes the primary's place answers no read", async () => {
      const { primary, standby } = await replicatedPostgres();
      const opened = open(primary.url);
      await migrateToLatest(opened.db);
      const project = await storedProject(opened.store);
      const { session, token } = await storedSession(opened.store, project);
      const pooler = await startPgBouncer([primary.url]);
      const { store } = open(pooler.urls[0] ?? "");
      const find = () => store.sessions.findSessionByToken(token);
      expect(await find()).toMatchObject({ session: { id: session.id } });
      await pooler.moveTo(standby.url);
      for (let i = 0; i < 5; i++) {
        await expect(find()).rejects.toMatchObject({
          reason: "DATABASE_UNAVAILABLE",
          cause: { message: expect.stringContaining("standby") },
        });
      }
      const revoking = revokeTarget(store, project, { scope: "session", id: session.id });
      await expect(revoking).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
      await pooler.moveTo(primary.url);
      await vi.waitUntil(() => find().then(...([() => true, () => false] as const)), patience);
      expect(await revokeTarget(store, project, { scope: "session", id: session.id })).toBeDefined();
    });

    test("a commit whose standby is not waited for is not acknowledged, although the role hides warnings", async () => {
      const { primary, standby } = await replicatedPostgres();
      const owner = open(primary.url);
      await migrateToLatest(owner.db);
      const project = await storedProject(owner.store);
      const { session } = await storedSession(owner.store, project);
      await primary.sql("alter role current_user set client_min_messages = error");
      const pooler = await startPgBouncer([primary.url]);
      const { store } = open(pooler.urls[0] ?? "");
      await standby.crash();
      const revoking = revokeTarget(store, project, { scope: "session", id: session.id });
      revoking.catch(() => undefined);
      await vi.waitUntil(async () => {
        const ended = await primary.sql(
          "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
        );
        return ended.length > 0;
      }, patience);
      await expect(revoking).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    });

    test("the facts name the pooler and the defaults of the role", async () => {
      const { role, through } = await pooled();
      const expected = {
        encoding: "UTF8",
        hasSynchronousStandbys: false,
        roleSettings: {
          synchronous_commit: "off",
          default_transaction_isolation: "serializable",
          default_transaction_read_only: "on",
          statement_timeout: "2000",
        },
      };
      expect(await readDatabaseFacts(open(through).db)).toMatchObject({ ...expected, isPooled: true });
      expect(await readDatabaseFacts(open(role.url).db)).toMatchObject({ ...expected, isPooled: false });
    });
  },
);
