import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { parseCertificateName } from "../../../src/domain/certificate-name.ts";
import { newCredentialId, newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { type SecretHash, newTokenSalt } from "../../../src/domain/token.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import {
  at,
  hour,
  memberId,
  must,
  newProject,
  newSession,
  orderOf,
  organizationId,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

/** A store with one connection, so that all it prepares is found there. */
function open(preparedStatements?: boolean): OpenStore {
  const opened = openStore(database.url, {
    maxConnections: 1,
    ...(preparedStatements === undefined ? {} : { preparedStatements }),
  });
  onTestFinished(() => opened.close());
  return opened;
}

async function preparedIn({ db }: OpenStore): Promise<readonly string[]> {
  const { rows } = await sql<{ statement: string }>`
    select statement from pg_prepared_statements order by statement`.execute(db);
  return rows.map(({ statement }) => statement);
}

/** Asks the store everything that a connection is asked, `size` at once where that can be. */
async function useAll(store: PostgresStore, project: Project, size: number): Promise<void> {
  const times = <T>(run: (i: number) => Promise<T>) =>
    Promise.all(Array.from({ length: size }, (_, i) => run(i)));
  const sessions = await times((i) =>
    storedSession(store, project, { memberId: memberId(`m${i}`), organizationId: organizationId("acme") }),
  );
  for (const { session } of sessions) store.sessions.recordAccess(session, at(1));
  const page = { size: 10, after: undefined };
  const none = { memberId: undefined, organizationId: undefined, state: undefined };
  const list = { projectId: project.id, now: at(0), page, ...none };
  const ask = async () => {
    await times((i) => store.sessions.findSession(project.id, sessions[i]?.session.id ?? newSessionId()));
    await times((i) => store.sessions.findSessionByToken(sessions[i]?.token ?? { tag: project.tag, hash }));
    for (const state of [undefined, "active", "expired", "idle_expired", "revoked"] as const) {
      await store.sessions.listSessions({ ...list, memberId: memberId("m0"), state });
      await store.sessions.listSessions({ ...list, organizationId: organizationId("acme"), state });
    }
    await store.sessions.listSessions({
      ...list,
      memberId: memberId("m0"),
      page: { size: 5, after: newSessionId() },
    });
    for (const target of [
      { scope: "project" },
      { scope: "member", id: memberId("m0") },
      { scope: "organization", id: organizationId("acme") },
      { scope: "organization", id: organizationId("acme"), except: newSessionId() },
    ] as const) {
      await store.revocations.countActive(project.id, target, at(0));
    }
    await store.sessions.isMemberOf(project.id, memberId("m0"), organizationId("acme"));
    await store.sessions.extendSession(
      project.id,
      sessions[0]?.session.id ?? newSessionId(),
      at(hour),
      at(1),
    );
    await times(() => store.sessions.findOwner(project.id, { scope: "session", id: newSessionId() }));
    await times(() => store.projects.findCredentials(project.id));
    await times(() => store.projects.findCertified([must(parseCertificateName("a.example"))]));
    await times(() => store.signingKeys.signingSchedule(project.id, at(0)));
    await times(() => store.signingKeys.isSigningKeyGood(project.id, "a key"));
    await store.projects.findProject(project.id);
    await store.projects.listProjects({ size: 10, after: undefined });
    await store.projects.listProjects({ size: 10, after: project.id });
    await store.projects.listCredentials(project.id, { size: 10, after: undefined });
    await store.projects.listCredentials(project.id, { size: 10, after: newCredentialId() });
    await store.signingKeys.listSigningKeys(project.id);
    await store.signingKeys.findSigningKey(project.id, "a key");
    await store.signingKeys.keysNotWrappedWith("a master key", at(0), 10);
    await store.revocations.readRevocations(project.id, 0, 10);
    for (const scope of [undefined, "session", "member"] as const) {
      const targetId = scope && newSessionId();
      const none = { startTime: undefined, endTime: undefined, actor: undefined };
      const page = { size: 10, after: undefined };
      await store.revocations.listRevocations({ projectId: project.id, ...none, scope, targetId, page });
      await store.revocations.listRevocations({
        projectId: project.id,
        ...none,
        scope,
        targetId,
        page,
        startTime: at(0),
      });
      await store.revocations.listRevocations({
        projectId: project.id,
        ...none,
        scope,
        targetId,
        page,
        actor: "member/a",
      });
    }
    await store.revocations.oldestResumable(project.id);
    await store.revocations.oldestRelevantRevision(project.id, at(0));
  };
  await ask();
  await store.projects.updatePolicy(project.id, project.policy);
  await times((i) =>
    store.sessions.createSessionWithin(
      newSession(project, { memberId: memberId(`m${i}`) }),
      randomBytes(32) as SecretHash,
      { max: 1, action: "end_oldest", actor: "" },
    ),
  );
  await times((i) =>
    store.sessions.replaceToken({
      projectId: project.id,
      hash: sessions[i]?.token.hash ?? hash,
      salt: newTokenSalt(),
      successor: randomBytes(32) as SecretHash,
      time: at(0),
    }),
  );
  await store.revocations.revoke(orderOf(project, { scope: "signing_key", id: "a key" }));
  await times((i) =>
    store.revocations.revoke(
      orderOf(project, { scope: "session", id: sessions[i]?.session.id ?? newSessionId() }),
    ),
  );
  await times(() => store.revocations.revoke(orderOf(project, { scope: "project" })));
  // Of dead sessions too.
  await ask();
}

const hash = randomBytes(32) as SecretHash;

async function credentialed(store: PostgresStore): Promise<Project> {
  const project = newProject();
  await store.projects.createProject(project, {
    projectId: project.id,
    id: newCredentialId(),
    displayName: "",
    permissions: [],
    certificateNames: [],
    secretHash: hash,
    createTime: at(0),
  });
  await store.signingKeys.addFirstSigningKey({
    projectId: project.id,
    kid: "a key",
    algorithm: "ES256",
    publicJwk: { kty: "EC" },
    sealedPrivateKey: hash,
    masterKeyId: "another master key",
    createTime: at(0),
    activateTime: at(0),
    retireTime: undefined,
    revocation: undefined,
  });
  return project;
}

test("what a connection prepares does not grow with the number of calls, nor with how many share a statement", async () => {
  const opened = open();
  await useAll(opened.store, await credentialed(opened.store), 2);
  const prepared = await preparedIn(opened);
  expect(prepared.length).toBeGreaterThan(20);
  expect(new Set(prepared).size).toBe(prepared.length);
  for (const size of [1, 3, 40]) await useAll(opened.store, await credentialed(opened.store), size);
  expect(await preparedIn(opened)).toEqual(prepared);
});

test("nothing is prepared where a pooler cannot carry it", async () => {
  const opened = open(false);
  const project = await storedProject(opened.store);
  const { session } = await storedSession(opened.store, project);
  for (let i = 0; i < 3; i++) {
    expect(await opened.store.sessions.findSession(project.id, session.id)).toEqual(session);
  }
  expect(await preparedIn(opened)).toEqual([]);
});

test("columns that a newer release adds fail no statement that is prepared already", async () => {
  const own = await createTestDatabase();
  onTestFinished(() => own.drop());
  const opened = openStore(own.url, { maxConnections: 1 });
  try {
    await useAll(opened.store, await credentialed(opened.store), 2);
    const { rows } = await sql<{ name: string }>`
      select table_name as name from information_schema.tables
      where table_schema = 'public' and table_name not like 'schema_migrations%'`.execute(opened.db);
    expect(rows.length).toBeGreaterThan(7);
    for (const { name } of rows) {
      await sql`alter table ${sql.table(name)} add column of_a_newer_release text`.execute(opened.db);
    }
    await useAll(opened.store, await credentialed(opened.store), 2);
  } finally {
    await opened.close();
  }
  expect(opened.lostAccesses).toEqual([]);
});

test("a statement that failed to prepare, or to run, can be asked again", async () => {
  const { db } = open();
  const ask = (text: string) => sql<{ n: number }>`select ${text}::int as n`.execute(db);
  await expect(ask("one")).rejects.toThrow("invalid input syntax");
  expect((await ask("1")).rows).toEqual([{ n: 1 }]);
  const missing = () => sql`select ${1}::int from no_such_table`.execute(db);
  await expect(missing()).rejects.toThrow("does not exist");
  await expect(missing()).rejects.toThrow("does not exist");
  expect((await ask("2")).rows).toEqual([{ n: 2 }]);
});
