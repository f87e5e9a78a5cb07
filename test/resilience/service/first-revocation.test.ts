import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

// Replicas that start on a new primary, which has the rows of replicas that may still rely on the old one.

interface Replica extends RunningService {
  readonly otherId: string;
}

/** Starts a replica on a database with the row of another one, which was renewed `ago` before on an older timeline. */
async function startBeside(
  ago: string,
  leased: boolean,
): Promise<RunningService & { readonly otherId: string }> {
  const database = await createTestDatabase();
  afterAll(() => database.drop());
  const otherId = randomUUID();
  await runSql(
    database.url,
    `insert into replicas (id, name, timeline, leased, start_time, renew_time)
      values ($1, 'other:1', 0, $2, now(), now() - $3::interval)`,
    otherId,
    leased,
    ago,
  );
  return Object.assign(await runningService({ databaseUrl: database.url }), { otherId });
}

const revokers = {
  Revoke: async (service: RunningService) => {
    const { id } = await newLogin(service);
    return () => sessionsOf(service).revoke({ target: { case: "id", value: id } });
  },
  RevokeAll: async (service: RunningService) => {
    const { memberId } = await newLogin(service);
    return () => sessionsOf(service).revokeAll({ scope: { case: "memberId", value: memberId } });
  },
};

async function duration(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

/** Milliseconds since the replica entered its row, by the database's clock. */
async function age({ databaseUrl, otherId }: Replica): Promise<number> {
  const [row] = await runSql<{ age: string }>(
    databaseUrl,
    "select extract(epoch from clock_timestamp() - start_time) * 1000 as age from replicas where id <> $1",
    otherId,
  );
  return Number(row?.age);
}

const beside = await Promise.all(
  Object.entries(revokers).map(async ([name, prepare]) => {
    const service = await startBeside("0.1 s", true);
    const [first, second] = [await prepare(service), await prepare(service)];
    await first();
    const answeredAfter = await age(service);
    return [name, answeredAfter, await duration(second)] as const;
  }),
);

test.each(beside)(
  "the first %s waits until the other's lease has ended, the second does not",
  (_, first, second) => {
    expect(first).toBeGreaterThan(2_000);
    expect(second).toBeLessThan(1_500);
  },
);

const alone = await Promise.all([startBeside("5 minutes", true), startBeside("0.1 s", false)]);
const [longAgo, unleased] = await Promise.all(
  alone.map(async (service) => duration(await revokers.Revoke(service))),
);

test("it does not wait for a lease that has ended long ago, or for a process that needed none", () => {
  expect(longAgo).toBeLessThan(1_500);
  expect(unleased).toBeLessThan(1_500);
});

const service = await startBeside("25 hours", true);

test("rows older than a day are deleted, and a process that ends deletes its own", async () => {
  const rows = () => runSql<{ id: string }>(service.databaseUrl, "select id from replicas");
  const own = await rows();
  expect(own).toHaveLength(1);
  expect(own[0]?.id).not.toBe(service.otherId);
  await service.stop();
  expect(await rows()).toEqual([]);
});
