import { sql } from "kysely";
import { Client } from "pg";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import { type CallContext, unlimited } from "../../../src/transport/call-context.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import { migrateTemplate } from "../../support/postgres/cluster.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { connectedClient, holding } from "../../support/postgres/operator.ts";
import { temporaryPostgres } from "../../support/postgres/temporary-postgres.ts";
import { patience } from "../../support/patience.ts";
import {
  at,
  hour,
  memberId,
  newCredential,
  newProject,
  newSession,
  orderOf,
  organizationId,
  sessionQuery,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

const database = await createTestDatabase();
afterAll(() => database.drop());
const opened = openStore(database.url, { maxConnections: 4 });
afterAll(() => opened.close());
const { store } = opened;
const admin = await connectedClient(database.url);
/** Used outside of transactions, in which pg_stat_activity does not change. */
const observer = await connectedClient(database.url);
const project = await storedProject(store);
const { session } = await storedSession(store, project);

/** A call whose deadline is in `ms` milliseconds. */
function within(ms: number): CallContext {
  return { ...unlimited, deadline: performance.now() + ms };
}

async function running(client: Client = observer): Promise<readonly { query: string; waits: string }[]> {
  const { rows } = await client.query<{ query: string; waits: string }>(
    `select query, wait_event as waits from pg_stat_activity
     where datname = current_database() and application_name = 'sessiond' and state <> 'idle'`,
  );
  return rows;
}

const lockAll =
  "lock table projects, project_revisions, service_credentials, sessions, session_tokens, cutoffs, signing_keys " +
  "in access exclusive mode";

const reads: Record<string, (call: CallContext) => Promise<unknown>> = {
  findSession: (call) => store.sessions.findSession(project.id, session.id, call),
  listSessions: (call) =>
    store.sessions.listSessions(sessionQuery(project, { memberId: memberId("ada") }), call),
  countActive: (call) => store.revocations.countActive(project.id, { scope: "project" }, at(0), call),
  isMemberOf: (call) => store.sessions.isMemberOf(project.id, memberId("ada"), organizationId("acme"), call),
  findProject: (call) => store.projects.findProject(project.id, call),
  findCredentials: (call) => store.projects.findCredentials(project.id, call),
};

const writes: Record<string, (call: CallContext) => Promise<unknown>> = {
  createSession: (call) =>
    store.sessions.createSession(newSession(project), hashSecret(String(performance.now())), call),
  extendSession: (call) => store.sessions.extendSession(project.id, session.id, at(2 * hour), at(0), call),
  revoke: (call) =>
    store.revocations.revoke(orderOf(project, { scope: "member", id: memberId("unknown") }), call),
  updateProject: (call) => store.projects.updateProject(project.id, () => ({ policy: defaultPolicy }), call),
  createProject: (call) => store.projects.createProject(newProject(), undefined, call),
  createCredential: (call) => store.projects.createCredential(newCredential(project), call),
};

describe.each(Object.entries({ ...reads, ...writes }))("%s", (_name, call) => {
  test("ends in the database at its deadline, and its connection stays usable", async () => {
    await holding(admin, lockAll, async () => {
      const outcome = call(within(300)).catch((error: unknown) => error);
      await vi.waitUntil(async () => (await running()).length === 1, patience);
      expect(await outcome).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
      // The database reports the cancellation slightly before the statement ends.
      await expect.poll(() => running(), patience).toEqual([]);
    });
    expect(await call(within(5_000))).toBeDefined();
    expect(opened.connectionErrors).toEqual([]);
  });

  test("does not start after its deadline", async () => {
    await expect(call(within(-1))).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });
});

test("a write that its deadline ended has no effect", async () => {
  const doomed = await storedSession(store, project);
  const { id } = doomed.session;
  const order = orderOf(project, { scope: "session", id });
  await holding(admin, `select from sessions where id = '${id}' for update`, async () => {
    const revoking = store.revocations.revoke(order, within(200));
    await expect(revoking).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });
  expect(await store.sessions.findSession(project.id, id)).toEqual(doomed.session);
  expect(await store.revocations.revoke(order, within(5_000))).toMatchObject({ revokedCount: 1 });
});

test("the timeout of one statement does not apply to the next on its connection", async () => {
  const narrow = openStore(database.url, { maxConnections: 1 });
  onTestFinished(() => narrow.close());
  const order = orderOf(project, { scope: "member", id: memberId("unknown") });
  const timeout = async () => (await sql`show statement_timeout`.execute(narrow.db)).rows;
  const usual = await timeout();
  await narrow.store.revocations.revoke(order, within(10_000));
  expect(await timeout()).toEqual(usual);
  await narrow.store.projects.updateProject(project.id, () => ({ policy: defaultPolicy }), within(10_000));
  expect(await timeout()).toEqual(usual);
});

test("a list or count whose client disconnects is cancelled in the database", async () => {
  const caller = new AbortController();
  const call = { ...unlimited, signal: caller.signal };
  await holding(admin, lockAll, async () => {
    const outcomes = Promise.allSettled([reads["listSessions"]?.(call), reads["countActive"]?.(call)]);
    await vi.waitUntil(async () => (await running()).length === 2, patience);
    const gone = new Error("the client disconnected");
    caller.abort(gone);
    const rejected = { status: "rejected", reason: gone };
    expect(await outcomes).toEqual([rejected, rejected]);
    await expect.poll(() => running(), patience).toEqual([]);
  });
});

test("a commit that waits for a standby is not cancelled, because it would look confirmed", async () => {
  const postgres = await temporaryPostgres();
  onTestFinished(() => postgres.stop());
  await migrateTemplate(postgres.url);
  const own = openStore(postgres.url);
  onTestFinished(() => own.close());
  const operator = new Client({ connectionString: postgres.url });
  await operator.connect();
  onTestFinished(() => operator.end());
  const theirs = await storedProject(own.store);
  await operator.query("alter system set synchronous_standby_names = 'missing'");
  await operator.query("select pg_reload_conf()");
  await vi.waitUntil(async () => {
    const { rows } = await operator.query<{ names: string }>(
      "select current_setting('synchronous_standby_names') as names",
    );
    return rows[0]?.names !== "";
  }, patience);

  const order = orderOf(theirs, { scope: "member", id: memberId("ada") });
  const receipt = own.store.revocations.revoke(order, within(300));
  const isCommitting = async () => (await running(operator)).some(({ waits }) => waits === "SyncRep");
  await vi.waitUntil(isCommitting, patience);
  // A later statement with the same time has reached its deadline.
  await holding(operator, "lock table sessions in access exclusive mode", async () => {
    const extension = own.store.sessions.extendSession(theirs.id, session.id, at(hour), at(0), within(300));
    await expect(extension).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });
  expect(await isCommitting()).toBe(true);
  await operator.query("alter system reset synchronous_standby_names");
  await operator.query("select pg_reload_conf()");
  expect(await receipt).toMatchObject({ revision: 1 });
});
