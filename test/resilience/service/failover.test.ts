import { expect, onTestFinished, test, vi } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import {
  newRequest,
  newSession,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { patience } from "../../support/patience.ts";
import { replicatedPostgres } from "../../support/postgres/replicated-postgres.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { serveProcess } from "../../support/process/serve-process.ts";

const secret = "bootstrap-secret-of-these-tests-only";

/** A service on a primary and its standby, with a client. */
async function replicatedService() {
  const postgres = await replicatedPostgres();
  const service = serveProcess({
    DATABASE_URL: postgres.url,
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `failover:${secret}`,
  });
  const baseUrl = `http://127.0.0.1:${await service.listening}`;
  const { sessions } = connectSessiond({ baseUrl, credential: { projectId: "failover", secret } });
  const byId = (value: string) => ({ target: { case: "id", value } }) as const;
  return { ...postgres, service, sessions, byId };
}

test("a promoted standby has all acknowledged changes, and the service follows it", async () => {
  const { primary, standby, sessions, byId } = await replicatedService();
  const acknowledged = { created: new Map<string, string>(), revoked: new Map<string, bigint>() };
  const failures = new Set<string>();
  const over = new AbortController();
  /** Creates sessions and revokes every other one, until stopped. */
  const load = async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      try {
        const { session, token } = await sessions.create({ memberId: `m${i}` }, { timeoutMs: 5000 });
        if (session === undefined) continue;
        acknowledged.created.set(session.id, token);
        if (i % 2 === 0) continue;
        const { revision } = await sessions.revoke(byId(session.id), { timeoutMs: 5000 });
        acknowledged.revoked.set(session.id, revision);
      } catch (error) {
        // No primary for a while.
        failures.add(reasonOf(error));
      }
    }
  };
  const clients = Array.from({ length: 8 }, load);
  const enough = (count: number) => vi.waitUntil(() => acknowledged.revoked.size >= count, patience);
  await enough(100);
  await primary.crash();
  const before = acknowledged.revoked.size;
  await standby.sql("alter system reset synchronous_standby_names");
  await standby.sql("select pg_promote()");
  await enough(before + 100);
  over.abort();
  await Promise.all(clients);
  const expected = new Set(["DATABASE_UNAVAILABLE", "DEADLINE_EXCEEDED", "canceled"]);
  expect([...failures].filter((reason) => !expected.has(reason))).toEqual([]);

  const wrong: { id: string; verdict: string }[] = [];
  for (const [id, token] of acknowledged.created) {
    const verdict = await sessions
      .authenticate({ credential: { case: "token", value: token } })
      .then(() => "active", reasonOf);
    // Without an acknowledged revocation, the session may be in either state.
    const right = acknowledged.revoked.has(id) ? ["SESSION_REVOKED"] : ["active", "SESSION_REVOKED"];
    if (!right.includes(verdict)) wrong.push({ id, verdict });
  }
  expect(wrong).toEqual([]);
  const rows = await standby.sql<{ revision: string; target_id: string }>(
    "select revision, target_id from revocations where project_id = 'failover' order by revision",
  );
  // Without gaps or duplicates, and equal to the acknowledged ones.
  expect(rows.map(({ revision }) => Number(revision))).toEqual(rows.map((_, i) => i + 1));
  const logged = new Map(rows.map(({ target_id, revision }) => [target_id, BigInt(revision)]));
  for (const [id, revision] of acknowledged.revoked) expect(logged.get(id)).toBe(revision);
}, 120_000);

function storeReasonOf(error: unknown): string {
  return error instanceof SessiondError ? error.reason : String(error);
}

// Without the service, whose lease ends soon after the standby does.
test.for(["Revoke", "Create"] as const)(
  "%s does not acknowledge a commit that no standby has, nor its retries",
  { timeout: 120_000 },
  async (method) => {
    const { primary, standby } = await replicatedPostgres();
    const { store, db, close } = openStore(primary.url);
    onTestFinished(close);
    await migrateToLatest(db);
    const project = await storedProject(store);
    const { session } = await storedSession(store, project);
    const request = newRequest();
    const call = (): Promise<unknown> =>
      method === "Revoke"
        ? revokeTarget(store, project, { scope: "session", id: session.id })
        : store.sessions.createSessionOnce(newSession(project), hashSecret("a token"), request);
    await standby.crash();

    /** Cancels commits that wait for the standby. Resolves after the first one. */
    const cancelWait = () =>
      vi.waitUntil(async () => {
        const ended = await primary.sql(
          "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
        );
        return ended.length > 0;
      }, patience);
    const attempt = () => call().then(() => "acknowledged", storeReasonOf);
    const first = attempt();
    await cancelWait();
    expect(await first).toBe("DATABASE_UNAVAILABLE");
    // The primary has committed it by now.
    const repeated = attempt();
    await cancelWait();
    expect(await repeated).toBe("DATABASE_UNAVAILABLE");
    const last = attempt();
    await standby.start();
    expect(await last).toBe("acknowledged");
  },
);

test("does not read from a standby, which may lack a revocation", async () => {
  const { primary, standby } = await replicatedPostgres();
  const open = (url: string) => {
    const opened = openStore(url, { connectTimeoutMs: 5000, statementTimeoutMs: 5000 });
    onTestFinished(() => opened.close());
    return opened.db;
  };
  await migrateToLatest(open(primary.url));
  await expect(open(standby.url).selectFrom("projects").select("id").execute()).rejects.toThrow(/standby/);
  // A standby that is named first is skipped.
  const { host } = new URL(primary.url);
  const both = standby.url.replace(/(@[^/]+)/, `$1,${host}`);
  expect(await open(both).selectFrom("projects").select("id").execute()).toEqual([]);
}, 120_000);

test("a service starts although the first host of its URL is a standby", async () => {
  const { primary, standby } = await replicatedPostgres();
  const { host } = new URL(primary.url);
  const service = serveProcess({
    DATABASE_URL: standby.url.replace(/\/postgres$/, `,${host}/postgres`),
    SESSIOND_MASTER_KEY: testMasterKey,
  });
  expect(await service.listening).toBeGreaterThan(0);
});

test("a service starts although transactions of its database are read-only by default", async () => {
  const url = await databaseOfTest();
  await runSql(
    url,
    "do $$ begin execute 'alter database ' || current_database() || ' set default_transaction_read_only = on'; end $$",
  );
  const service = serveProcess({ DATABASE_URL: url, SESSIOND_MASTER_KEY: testMasterKey });
  expect(await service.listening).toBeGreaterThan(0);
});
