import { randomUUID } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { PostgresRenewals, type Renewal } from "../../../src/storage/replicas/renewal.ts";
import { hostileRole } from "../../support/postgres/hostile-role.ts";
import { pgbouncerPath, startPgBouncer } from "../../support/process/pgbouncer.ts";
import { replicatedPostgres } from "../../support/postgres/replicated-postgres.ts";
import { runSql } from "../../support/postgres/sql.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";

/** Renews the row of a new process twice, then deletes it. Returns what the second renewal said. */
async function renewTwice(url: string, databaseUrl: string): Promise<Renewal> {
  const id = randomUUID();
  const connection = new PostgresRenewals([url], { id, name: "host:1" }).connectionTo(url);
  onTestFinished(() => connection.destroy());
  await connection.open();
  const written: Renewal[] = [];
  await connection.renew((renewal) => written.push(renewal));
  const renewal = await connection.renew((second) => written.push(second));
  expect(written[1]).toEqual(renewal);
  const rows = () => runSql(databaseUrl, "select id, name, timeline, leased from replicas");
  expect(await rows()).toEqual([{ id, name: "host:1", timeline: renewal.timeline ?? null, leased: false }]);
  await connection.remove();
  expect(await rows()).toEqual([]);
  return renewal;
}

const expected = {
  timeline: 1,
  system: expect.stringMatching(/^\d+$/),
  isSynchronous: false,
  recoveryId: undefined,
  hasOlderLeases: false,
};

test("renewals do not depend on the defaults of the role", async () => {
  const databaseUrl = await databaseOfTest();
  const { url } = await hostileRole(databaseUrl);
  const before = Date.now();
  const renewal = await renewTwice(url, databaseUrl);
  expect(renewal).toMatchObject(expected);
  // The database runs on the same machine, and sends microseconds.
  expect(renewal.timeMs).toBeGreaterThanOrEqual(before - 1);
  expect(renewal.timeMs).toBeLessThanOrEqual(Date.now() + 1);
});

test("renewals need neither the identifier of the system nor timelines", async () => {
  const databaseUrl = await databaseOfTest();
  const { url } = await hostileRole(databaseUrl);
  await runSql(databaseUrl, "revoke execute on function pg_control_system() from public");
  await runSql(databaseUrl, "revoke execute on function pg_walfile_name(pg_lsn) from public");
  expect(await renewTwice(url, databaseUrl)).toMatchObject({
    ...expected,
    timeline: undefined,
    system: undefined,
  });
});

test("names the table if the role may not write it", async () => {
  const databaseUrl = await databaseOfTest();
  const { url, name } = await hostileRole(databaseUrl);
  await runSql(databaseUrl, `revoke insert on replicas from ${name}`);
  await expect(renewTwice(url, databaseUrl)).rejects.toThrow("permission denied for table replicas");
});

test("a standby is refused by name", async () => {
  const { primary, standby } = await replicatedPostgres();
  await expect(renewTwice(standby.url, primary.url)).rejects.toThrow("it is a standby");
}, 120_000);

test("tells the newest recovery that has finished, and leases that were renewed lately on older timelines", async () => {
  const databaseUrl = await databaseOfTest();
  const [oldest, newest] = [randomUUID(), randomUUID()];
  await runSql(
    databaseUrl,
    `insert into recoveries (id, keep_sessions, start_time, finish_time) values
      ($1, false, now() - interval '2 days', now() - interval '1 day'), ($2, false, now(), now()),
      (gen_random_uuid(), false, now(), null)`,
    oldest,
    newest,
  );
  const others = (timeline: number, leased: boolean, ago: string) =>
    runSql(
      databaseUrl,
      `insert into replicas (id, name, timeline, leased, start_time, renew_time)
        values (gen_random_uuid(), 'other', $1, $2, now(), now() - $3::interval)`,
      timeline,
      leased,
      ago,
    );
  const url = databaseUrl;
  const renew = async () => {
    const connection = new PostgresRenewals([url], { id: randomUUID(), name: "" }).connectionTo(url);
    onTestFinished(() => connection.destroy());
    await connection.open();
    return connection.renew(() => undefined);
  };
  await others(0, false, "0 s");
  await others(0, true, "61 s");
  await others(1, true, "0 s");
  expect(await renew()).toMatchObject({ ...expected, recoveryId: newest });
  // The clocks of the old and the new primary may differ by 30 s.
  await others(0, true, "32 s");
  expect(await renew()).toMatchObject({ hasOlderLeases: true });
});

describe.skipIf(pgbouncerPath === undefined)("behind PgBouncer in transaction mode", () => {
  test("renewals are transactions of their own", async () => {
    const databaseUrl = await databaseOfTest();
    const direct = new URL((await hostileRole(databaseUrl)).url);
    direct.search = "";
    const pooler = await startPgBouncer([direct.href]);
    for (const url of pooler.urls) expect(await renewTwice(url, databaseUrl)).toMatchObject(expected);
  });
});
