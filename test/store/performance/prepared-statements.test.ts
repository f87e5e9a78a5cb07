// Guards performance, not behaviour: edit it when a refactoring changes statements or plans on purpose.
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { parseCertificateName } from "../../../src/domain/certificate-name.ts";
import { newSessionId } from "../../../src/domain/ids.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  must,
  newSession,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";
import { useEverything } from "../schema/upgrade/scenario.ts";

/** A store with one connection, which holds all its prepared statements. */
const one = { maxConnections: 1 };
const opened = useStore(one);
const unprepared = useStore({ ...one, preparedStatements: false });
const migrated = useStore(one);

async function preparedIn({ db }: typeof opened): Promise<readonly string[]> {
  const { rows } = await sql<{ statement: string }>`
    select statement from pg_prepared_statements order by statement`.execute(db);
  return rows.map(({ statement }) => statement);
}

/** Runs every statement of the store, and those of batches with `size` items. */
async function useAll(store: PostgresStore, size: number): Promise<void> {
  const times = <T>(run: () => Promise<T>) => Promise.all(Array.from({ length: size }, run));
  await useEverything(store);
  const project = await storedProject(store);
  const sessions = await times(() => storedSession(store, project));
  await Promise.all(sessions.map(({ token }) => store.sessions.findSessionByToken(token)));
  await Promise.all(sessions.map(({ session: { id } }) => store.sessions.findSession(project.id, id)));
  await times(() => store.sessions.findOwner(project.id, { scope: "session", id: newSessionId() }));
  await times(() => store.projects.findProject(project.id));
  await times(() => store.projects.findCredentials(project.id));
  await times(() => store.projects.findCertified([must(parseCertificateName("a.example"))]));
  await times(() => store.signingKeys.signingSchedule(project.id, at(0)));
  await times(() => store.signingKeys.isSigningKeyGood(project.id, "a key"));
  const limit = { max: 1, action: "end_oldest", actor: "" } as const;
  await times(() => store.sessions.createSessionWithin(newSession(project), hashSecret(randomUUID()), limit));
  const targets = sessions.map(({ session: { id } }) => ({ scope: "session", id }) as const);
  await Promise.all(targets.map((target) => revokeTarget(store, project, target)));
  await times(() => revokeTarget(store, project, { scope: "project" }));
}

test("the number of prepared statements does not grow with the number of calls or the size of batches", async () => {
  await useAll(opened.store, 2);
  const prepared = await preparedIn(opened);
  expect(prepared.length).toBeGreaterThan(20);
  expect(new Set(prepared).size).toBe(prepared.length);
  for (const size of [1, 3, 40]) await useAll(opened.store, size);
  expect(await preparedIn(opened)).toEqual(prepared);
});

test("prepares nothing if prepared statements are disabled", async () => {
  const { store } = unprepared;
  const project = await storedProject(store);
  const { session } = await storedSession(store, project);
  for (let i = 0; i < 3; i++) {
    expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
  }
  expect(await preparedIn(unprepared)).toEqual([]);
});

test("a prepared statement survives columns that a newer release adds", async () => {
  const { store, db, lostAccesses } = migrated;
  await useAll(store, 2);
  const { rows } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_name not like 'sessiond_migrations%'`.execute(db);
  expect(rows.length).toBeGreaterThan(7);
  for (const { name } of rows) {
    await sql`alter table ${sql.table(name)} add column of_a_newer_release text`.execute(db);
  }
  await useAll(store, 2);
  expect(lostAccesses).toEqual([]);
});

test("a statement that failed to prepare or run can run again", async () => {
  const { db } = opened;
  const ask = (text: string) => sql<{ n: number }>`select ${text}::int as n`.execute(db);
  await expect(ask("one")).rejects.toThrow("invalid input syntax");
  expect((await ask("1")).rows).toEqual([{ n: 1 }]);
  const missing = () => sql`select ${1}::int from no_such_table`.execute(db);
  await expect(missing()).rejects.toThrow("does not exist");
  await expect(missing()).rejects.toThrow("does not exist");
  expect((await ask("2")).rows).toEqual([{ n: 2 }]);
});
