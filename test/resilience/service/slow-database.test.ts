import { expect, onTestFinished, test, vi } from "vitest";
import { expectOwnAnswers, newLogins, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { poolUse, readMetrics, sessionsOf, withGrpcTimeout } from "../../support/fixtures/service-clients.ts";
import { patience } from "../../support/patience.ts";
import { connectedClient, holding, lockWaits } from "../../support/postgres/operator.ts";
import { relayedService } from "../../support/fixtures/relayed-service.ts";
import { runningService } from "../../support/fixtures/running-service.ts";

const { service: far, relay, directUrl } = await relayedService();
const connections = 2;
const places = 8;
const narrow = await runningService({
  databaseUrl: directUrl,
  environment: {
    SESSIOND_DATABASE_MAX_CONNECTIONS: String(connections),
    SESSIOND_DATABASE_MAX_WAITING: String(places),
    SESSIOND_DATABASE_CONNECT_TIMEOUT_MS: "25000",
    SESSIOND_DATABASE_STATEMENT_TIMEOUT_MS: "25000",
  },
});
const [operator, observer] = [await connectedClient(directUrl), await connectedClient(directUrl)];

test("with a slow network, batched calls get their own answers and revoked sessions stay revoked", async () => {
  relay.slowDown(25);
  onTestFinished(() => relay.mend());
  const statements = async () =>
    (await readMetrics(far.metricsUrl)).sum("sessiond_batch_size_count", { kind: "sessions by token" });
  const logins = await newLogins(far, 40);
  expect(new Set(logins.map(({ id }) => id)).size).toBe(logins.length);
  const before = await statements();
  await expectOwnAnswers(far, logins);
  expect((await statements()) - before).toBeLessThan(logins.length / 2);

  const revoked = logins.filter((_, i) => i % 2 === 0);
  const receipts = await Promise.all(
    revoked.map(({ id }) => sessionsOf(far).revoke({ target: { case: "id", value: id } })),
  );
  expect(new Set(receipts.map(({ revision }) => revision)).size).toBe(revoked.length);
  // Calls with a short deadline fail and do not delay others.
  const hurried = logins.map(({ id }) =>
    sessionsOf(far)
      .get({ id }, withGrpcTimeout(60))
      .then(() => "answered", reasonOf),
  );
  const verdicts = await Promise.all(logins.map((login) => verdictOn(far, login)));
  expect(verdicts).toEqual(logins.map((_, i) => (i % 2 === 0 ? "SESSION_REVOKED" : "active")));
  expect(new Set(await Promise.all(hurried))).toEqual(new Set(["DEADLINE_EXCEEDED"]));
});

test("with a full pool, calls wait within their queue until their deadline, and nothing leaks", async () => {
  const logins = await newLogins(narrow, connections);
  const sessions = sessionsOf(narrow);
  // Leaks of one round would show in the next.
  for (let round = 1; round <= 3; round++) {
    const stuck: Promise<string>[] = [];
    const refusals: string[] = [];
    const waiting: Promise<unknown>[] = [];
    const refused = 10 - (places - logins.length - 3);
    await holding(operator, "lock table session_tokens in access exclusive mode", async () => {
      for (const login of logins) {
        stuck.push(verdictOn(narrow, login));
        await vi.waitUntil(async () => (await lockWaits(observer)) === stuck.length, patience);
      }
      const wait = () => {
        waiting.push(sessions.create({ memberId: "waits" }).catch((error) => refusals.push(reasonOf(error))));
      };
      // The permitted number of batches waits for a connection; further lookups wait for those.
      for (const taken of [1, 2]) {
        wait();
        await vi.waitUntil(async () => (await poolUse(narrow.metricsUrl)).waitedFor === taken, patience);
      }
      const hurried = sessions.create({ memberId: "in a hurry" }, withGrpcTimeout(500)).catch(reasonOf);
      for (let i = 0; i < 10; i++) wait();
      await vi.waitUntil(() => refusals.length === refused, patience);
      expect(new Set(refusals)).toEqual(new Set(["OVERLOADED"]));
      expect(await hurried).toBe("DEADLINE_EXCEEDED");
      expect(await poolUse(narrow.metricsUrl)).toEqual({ open: connections, idle: 0, waitedFor: 2 });
    });
    expect(await Promise.all(stuck)).toEqual(logins.map(() => "active"));
    await Promise.all(waiting);
    expect(refusals).toHaveLength(refused);
    await expect
      .poll(() => poolUse(narrow.metricsUrl), patience)
      .toEqual({ open: connections, idle: connections, waitedFor: 0 });
  }
  await expectOwnAnswers(narrow, logins);
  expect(await sessions.list({ memberId: "in a hurry" })).toMatchObject({ sessions: [] });
});
