import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { replicatedPostgres } from "../../support/postgres/replicated-postgres.ts";
import { linesOf, serveProcess } from "../../support/process/serve-process.ts";

// A standby that was promoted while the old primary goes on, as if a cluster manager had lost sight of it.

const projectId = "two-primaries";
const secret = "a-bootstrap-secret-of-this-test-only";
const timeoutMs = 5_000;

/** Starts a service in its own process. */
async function startOn(databaseUrl: string, environment: Readonly<Record<string, string>> = {}) {
  const service = serveProcess({
    ...environment,
    DATABASE_URL: databaseUrl,
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
  });
  const baseUrl = `http://127.0.0.1:${await service.listening}`;
  const client = connectSessiond({ baseUrl, credential: { projectId, secret } });
  onTestFinished(() => client.close());
  const { sessions } = client;
  return {
    service,
    sessions,
    authenticate: (value: string) =>
      sessions
        .authenticate({ credential: { case: "token", value } }, { timeoutMs })
        .then(() => "accepted", reasonOf),
    revoke: (value: string) =>
      sessions.revoke({ target: { case: "token", value } }, { timeoutMs }).then(() => "revoked", reasonOf),
  };
}

/** A primary that can be cut off from one service, its synchronous standby, and the URL of both for that service. */
async function cuttablePostgres() {
  const postgres = await replicatedPostgres();
  const relay = await startRelay(postgres.primary.url);
  onTestFinished(() => relay.close());
  const hostOf = (url: string) => new URL(url).host;
  const cuttableUrl = postgres.url.replace(hostOf(postgres.primary.url), hostOf(relay.url));
  return { ...postgres, relay, cuttableUrl };
}

test("no replica that stays on the old primary accepts what was revoked on the new one", async () => {
  const { primary, standby, url, relay, cuttableUrl } = await cuttablePostgres();
  const stays = await startOn(primary.url);
  const follows = await startOn(url);
  const moves = await startOn(cuttableUrl);
  const { token } = await moves.sessions.create({ memberId: "m" });
  const other = await moves.sessions.create({ memberId: "m" });

  /** Asks a replica without a pause; keeps what it answered, and when the question was asked. */
  const answers: { readonly replica: string; readonly askedAt: number; readonly answer: string }[] = [];
  const over = new AbortController();
  const ask = async (replica: string, { authenticate }: typeof stays) => {
    while (!over.signal.aborted) {
      const askedAt = performance.now();
      answers.push({ replica, askedAt, answer: await authenticate(token) });
      await setTimeout(2);
    }
  };
  const asking = Promise.all([ask("stays", stays), ask("follows", follows)]);
  await vi.waitUntil(() => answers.length > 20, patience);

  await standby.sql("select pg_promote()");
  const promotedAt = performance.now();
  relay.cut();
  await vi.waitUntil(async () => (await moves.revoke(token)) === "revoked", patience);
  const revokedAt = performance.now();
  expect(await primary.sql("select pg_is_in_recovery() as standby")).toEqual([{ standby: false }]);
  await vi.waitUntil(async () => (await follows.authenticate(token)) === "SESSION_REVOKED", patience);
  const before = answers.length;
  await vi.waitUntil(() => answers.length > before + 20, patience);
  over.abort();
  await asking;

  const accepted = answers.filter(({ answer }) => answer === "accepted");
  expect(accepted.filter(({ askedAt }) => askedAt > revokedAt)).toEqual([]);
  const after = (name: string) =>
    new Set(
      answers.filter(({ replica, askedAt }) => replica === name && askedAt > revokedAt).map((a) => a.answer),
    );
  expect(after("stays")).toEqual(new Set(["DATABASE_UNAVAILABLE"]));
  expect(after("follows").has("accepted")).toBe(false);
  // The old primary was still relied on for a while, and the revocation waited for that.
  expect(accepted.some(({ askedAt }) => askedAt > promotedAt)).toBe(true);
  expect(revokedAt - promotedAt).toBeGreaterThan(1_000);

  expect(await moves.revoke(other.token)).toBe("revoked");
}, 180_000);

test("a call that waits for the old primary fails as soon as the new one is found", async () => {
  const { standby, url } = await replicatedPostgres();
  const forever = String(10 * 60_000);
  const replica = await startOn(url, {
    SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: forever,
    SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: forever,
  });
  const { token } = await replica.sessions.create({ memberId: "m" });
  await standby.sql("select pg_promote()");
  const waiting = replica.sessions.revoke(
    { target: { case: "token", value: token } },
    { timeoutMs: 2 * 60_000 },
  );
  expect(await waiting.then(() => "revoked", reasonOf)).toBe("DATABASE_UNAVAILABLE");
  expect(await replica.revoke(token)).toBe("revoked");
}, 180_000);

test("a replica that has seen the new primary refuses the old one, until a restart or a recovery", async () => {
  const { primary, standby, relay, cuttableUrl } = await cuttablePostgres();
  // Commits of the old primary succeed without its standby.
  await primary.sql("alter system reset synchronous_standby_names");
  await primary.sql("select pg_reload_conf()");
  const replica = await startOn(cuttableUrl);
  const { token } = await replica.sessions.create({ memberId: "m" });
  await vi.waitUntil(async () => {
    const rows = await standby.sql<{ count: string }>("select count(*) from session_tokens");
    return rows[0]?.count === "1";
  }, patience);
  await standby.sql("select pg_promote()");
  relay.cut();
  await vi.waitUntil(async () => (await replica.revoke(token)) === "revoked", patience);

  relay.mend();
  await standby.crash();
  const refused = () =>
    linesOf(replica.service)
      .filter(({ level }) => level === 50)
      .filter(({ msg }) => msg.startsWith("the database has gone back"));
  await vi.waitUntil(() => refused().length > 0, patience);
  for (let i = 0; i < 20; i++) expect(await replica.authenticate(token)).toBe("DATABASE_UNAVAILABLE");
  expect(refused()).toMatchObject([{ timeline: 1, newest_timeline: 2 }]);

  const restarted = await startOn(primary.url);
  expect(await restarted.authenticate(token)).toBe("accepted");

  await primary.sql(
    "insert into recoveries (id, keep_sessions, start_time, finish_time) values (gen_random_uuid(), false, now(), now())",
  );
  await vi.waitUntil(async () => (await replica.authenticate(token)) === "accepted", patience);
}, 180_000);
