import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { workUntil } from "../../../src/domain/deadline.ts";
import { newCredentialId } from "../../../src/domain/ids.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import type { Store } from "../../../src/domain/store.ts";
import { hashSecret } from "../../../src/domain/sessions/token.ts";
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";
import { migrateTemplate } from "../../support/postgres/cluster.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import {
  at,
  hour,
  memberId,
  newProject,
  newSession,
  orderOf,
  organizationId,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;
let admin: Client;
/** Outside of the admin's transactions: within one, what runs is looked up only once. */
let observer: Client;
let opened: OpenStore;
let store: Store;
let project: Project;
let session: Session;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new Client({ connectionString: database.url });
  await admin.connect();
  observer = new Client({ connectionString: database.url });
  await observer.connect();
  opened = openStore(database.url, { maxConnections: 4 });
  store = opened.store;
  project = await storedProject(store);
  ({ session } = await storedSession(store, project));
});

afterAll(async () => {
  await opened.close();
  await admin.end();
  await observer.end();
  await database.drop();
});

/** Works for a caller who waits so many milliseconds. */
function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  return workUntil(performance.now() + ms, work);
}

/** The store's statements that run now. */
async function running(client: Client = observer): Promise<readonly { query: string; waits: string }[]> {
  const { rows } = await client.query<{ query: string; waits: string }>(
    `select query, wait_event as waits from pg_stat_activity
     where datname = current_database() and application_name = 'sessiond' and state <> 'idle'`,
  );
  return rows;
}

/** Has every statement that needs more than to begin wait, until the test is over. */
async function lockAll(): Promise<void> {
  await admin.query("begin");
  await admin.query(
    "lock table projects, project_revisions, service_credentials, sessions, session_tokens, cutoffs, signing_keys " +
      "in access exclusive mode",
  );
  onTestFinished(async () => {
    await admin.query("rollback");
  });
}

const reads: Record<string, () => Promise<unknown>> = {
  findSession: () => store.findSession(project.id, session.id),
  listSessions: () =>
    store.listSessions({
      projectId: project.id,
      memberId: memberId("ada"),
      organizationId: undefined,
      state: undefined,
      now: at(0),
      page: { size: 1, after: undefined },
    }),
  countActive: () => store.countActive(project.id, { scope: "project" }, at(0)),
  isMemberOf: () => store.isMemberOf(project.id, memberId("ada"), organizationId("acme")),
  findProject: () => store.findProject(project.id),
  findCredentials: () => store.findCredentials(project.id),
};

const writes: Record<string, () => Promise<unknown>> = {
  createSession: () => store.createSession(newSession(project), hashSecret(String(performance.now()))),
  extendSession: () => store.extendSession(project.id, session.id, at(2 * hour), at(0)),
  revoke: () => store.revoke(orderOf(project, { scope: "member", id: memberId("nobody") })),
  updatePolicy: () => store.updatePolicy(project.id, defaultPolicy),
  createProject: () => store.createProject(newProject()),
  createCredential: () =>
    store.createCredential({
      projectId: project.id,
      id: newCredentialId(),
      displayName: "",
      permissions: [],
      certificateNames: [],
      createTime: at(0),
      secretHash: hashSecret("a secret"),
    }),
};

describe.each(Object.entries({ ...reads, ...writes }))("%s", (_name, call) => {
  test("does not go on in the database beyond its caller's deadline, and leaves its connection good", async () => {
    await lockAll();
    const outcome = within(300, call).catch((error: unknown) => error);
    await vi.waitUntil(async () => (await running()).length === 1, patience);
    expect(await outcome).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    // The database says that it has ended it a little before it has.
    await expect.poll(() => running(), patience).toEqual([]);
    await admin.query("rollback");
    expect(await within(5_000, call)).toBeDefined();
    expect(opened.connectionErrors).toEqual([]);
  });

  test("does not begin once the deadline has passed", async () => {
    await expect(within(-1, call)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });
});

test("what was ended by its deadline has done nothing", async () => {
  const doomed = await storedSession(store, project);
  await admin.query("begin");
  await admin.query("select from sessions where id = $1 for update", [doomed.session.id]);
  const order = orderOf(project, { scope: "session", id: doomed.session.id });
  await expect(within(200, () => store.revoke(order))).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  await admin.query("rollback");
  expect(await store.findSession(project.id, doomed.session.id)).toEqual(doomed.session);
  expect(await within(5_000, () => store.revoke(order))).toMatchObject({ revokedCount: 1 });
});

test("the timeout of one statement is not that of the next on its connection", async () => {
  const narrow = openStore(database.url, { maxConnections: 1 });
  onTestFinished(() => narrow.close());
  const order = orderOf(project, { scope: "member", id: memberId("nobody") });
  const timeout = async () => (await sql`show statement_timeout`.execute(narrow.db)).rows;
  const usual = await timeout();
  await within(10_000, () => narrow.store.revoke(order));
  expect(await timeout()).toEqual(usual);
  await within(10_000, () => narrow.store.updatePolicy(project.id, defaultPolicy));
  expect(await timeout()).toEqual(usual);
});

test("a list that nobody waits for any more is ended", async () => {
  await lockAll();
  const caller = new AbortController();
  const page = { size: 1, after: undefined };
  const filters = { memberId: memberId("ada"), organizationId: undefined, state: undefined };
  const { signal } = caller;
  const list = store.listSessions({ projectId: project.id, ...filters, now: at(0), page, signal });
  const count = store.countActive(project.id, { scope: "project" }, at(0), signal);
  const outcomes = Promise.allSettled([list, count]);
  await vi.waitUntil(async () => (await running()).length === 2, patience);
  const gone = new Error("the client went away");
  caller.abort(gone);
  expect(await outcomes).toEqual([
    { status: "rejected", reason: gone },
    { status: "rejected", reason: gone },
  ]);
  await expect.poll(() => running(), patience).toEqual([]);
});

test("a commit that waits for a standby is not cut short, which would pass for done", async () => {
  const directory = await mkdtemp(join(tmpdir(), "sessiond-standby-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ directory });
  onTestFinished(() => postgres.stop());
  await migrateTemplate(postgres.url);
  const own = openStore(postgres.url);
  onTestFinished(() => own.close());
  const operator = new Client({ connectionString: postgres.url });
  await operator.connect();
  onTestFinished(() => operator.end());
  const theirs = await storedProject(own.store);
  await operator.query("alter system set synchronous_standby_names = 'nobody'");
  await operator.query("select pg_reload_conf()");
  await vi.waitUntil(async () => {
    const { rows } = await operator.query<{ names: string }>(
      "select current_setting('synchronous_standby_names') as names",
    );
    return rows[0]?.names !== "";
  }, patience);

  const order = orderOf(theirs, { scope: "member", id: memberId("ada") });
  const receipt = within(300, () => own.store.revoke(order));
  const isCommitting = async () => (await running(operator)).some(({ waits }) => waits === "SyncRep");
  await vi.waitUntil(isCommitting, patience);
  // A statement that has as long, and began later, is at its end.
  await operator.query("begin");
  await operator.query("lock table sessions in access exclusive mode");
  const extension = () => own.store.extendSession(theirs.id, session.id, at(hour), at(0));
  await expect(within(300, extension)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  await operator.query("rollback");
  expect(await isCommitting()).toBe(true);
  await operator.query("alter system reset synchronous_standby_names");
  await operator.query("select pg_reload_conf()");
  expect(await receipt).toMatchObject({ revision: 1 });
});
