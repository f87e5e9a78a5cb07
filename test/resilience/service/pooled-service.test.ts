import { expect, onTestFinished, test, vi } from "vitest";
import { hostileRole } from "../../support/postgres/hostile-role.ts";
import { pgbouncerPath, startPgBouncer } from "../../support/process/pgbouncer.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { patience } from "../../support/patience.ts";
import { type ServeProcess, linesOf, logged } from "../../support/process/serve-process.ts";
import { secret, serveOn, sessionsOn } from "../../api/operation/operating.ts";

/** A database behind PgBouncer, for a role with defaults that nothing may depend on. */
async function pooledDatabase() {
  const owner = await databaseOfTest();
  const role = await hostileRole(owner);
  // PgBouncer cannot set it for a client, and sessiond refuses to start with it.
  await role.set("array_nulls", "on");
  // PgBouncer refuses the parameters of the embedded PostgreSQL's URL.
  const direct = Object.assign(new URL(role.url), { search: "" }).href;
  const { urls } = await startPgBouncer([direct]);
  return { direct, pooled: urls[0] ?? "" };
}

async function metricOf(service: ServeProcess, name: string): Promise<number> {
  const [line] = await logged(service, "serving metrics");
  const text = await (await fetch(`http://127.0.0.1:${String(line["port"])}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

/** Two replicas. Returns how long revocations at one of them take to a watcher of the other, in milliseconds. */
async function replicasOn(url: string, environment: Record<string, string>) {
  const project = { SESSIOND_BOOTSTRAP_PROJECT: `pooled:${secret}`, SESSIOND_METRICS_LISTEN: "127.0.0.1:0" };
  const [one, other] = ["a", "b"].map(() => serveOn(url, { ...project, ...environment })) as [
    ServeProcess,
    ServeProcess,
  ];
  const [here, there] = [await sessionsOn(one, "pooled"), await sessionsOn(other, "pooled")];
  const lag = async () => {
    const end = new AbortController();
    onTestFinished(() => end.abort());
    const stream = there.watchRevocations({}, { signal: end.signal });
    const messages = stream[Symbol.asyncIterator]();
    await messages.next();
    const lags: number[] = [];
    for (let i = 0; i < 8; i++) {
      await here.revokeAll({ scope: { case: "memberId", value: `m${i}` } });
      const revokedAt = performance.now();
      for (let seen = false; !seen;) {
        const { value } = await messages.next();
        seen = value !== undefined && value.revocations.length > 0;
      }
      lags.push(performance.now() - revokedAt);
    }
    return lags.toSorted((a, b) => a - b)[4] ?? Infinity;
  };
  return { other, lag };
}

test.skipIf(pgbouncerPath === undefined)(
  "behind a pooler without a direct URL, replicas notice that they are deaf, and watchers are served within polls",
  { timeout: 120_000 },
  async () => {
    const { pooled } = await pooledDatabase();
    const { other, lag } = await replicasOn(pooled, {});
    const isDeaf = () =>
      linesOf(other).some(({ msg }) => msg.startsWith("notifications of revocations do not arrive"));
    await vi.waitUntil(isDeaf, patience);
    expect(await metricOf(other, "sessiond_deaf_processes")).toBe(1);
    // A poll each 50 ms, on a busy machine. Without them it would be half a second.
    expect(await lag()).toBeLessThan(400);
    expect(linesOf(other).filter(({ msg }) => msg.startsWith("notifications of"))).toHaveLength(1);
  },
);

test.skipIf(pgbouncerPath === undefined)(
  "behind a pooler with a direct URL, notifications arrive",
  { timeout: 120_000 },
  async () => {
    const { pooled, direct } = await pooledDatabase();
    const { other, lag } = await replicasOn(pooled, { SESSIOND_DATABASE_DIRECT_URL: direct });
    await vi.waitUntil(async () => (await metricOf(other, "sessiond_deaf_processes")) === 0, patience);
    expect(await lag()).toBeLessThan(400);
    expect(linesOf(other).filter(({ msg }) => msg.includes("do not arrive"))).toEqual([]);
  },
);
