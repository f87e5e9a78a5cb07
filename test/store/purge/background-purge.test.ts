import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import { pino } from "pino";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import { purgeInBackground } from "../../../src/server/background-purge.ts";
import type { Purged } from "../../../src/storage/purge/purge.ts";
import { type ManualClock, manualClock } from "../../unit/rpc/manual-clock.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { day, emptyTables, retention } from "../../support/fixtures/purging.ts";
import { at, hour, storedProject, storedSession } from "../../support/fixtures/stored.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
let project: Project;

beforeEach(async () => {
  await emptyTables(opened.db);
  project = await storedProject(opened.store);
});

interface Line {
  readonly msg: string;
  readonly outcome?: string;
  readonly sessions?: number;
}

/** A replica that purges by a manual clock, at a time of the tests' clock or of the database's. */
function purging(url = opened.url, time: Date | "database" = at(hour + retention)) {
  const own = openStore(url, { maxConnections: 1 });
  const clock = manualClock();
  const lines: Line[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  const batches: Purged[] = [];
  const stopping = new AbortController();
  const stopped = purgeInBackground(
    {
      db: own.db,
      retentionMs: retention,
      now: time === "database" ? undefined : () => time,
      clock,
      log,
      onPurged: (purged) => batches.push(purged),
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort();
    await stopped;
    await own.close();
  };
  onTestFinished(stop);
  return { clock, lines, batches, stop, abort: () => stopping.abort() };
}

/** Advances the clocks until a condition holds. */
async function moveUntil(isTrue: () => boolean, ...clocks: readonly ManualClock[]): Promise<void> {
  while (!isTrue()) {
    for (const clock of clocks) clock.advance(60_000);
    await setImmediate();
  }
}

const login = (count: number) =>
  Promise.all(Array.from({ length: count }, () => storedSession(opened.store, project)));

test("purges some time after the start, logs the result, and pauses for an hour", async () => {
  await login(3);
  const replica = purging();
  expect(replica.lines).toEqual([]);
  await moveUntil(() => replica.lines.length > 0, replica.clock);
  expect(replica.lines).toMatchObject([{ msg: "purge", outcome: "finished", sessions: 3, tokens: 3 }]);
  expect(replica.batches.reduce((sum, { sessions }) => sum + sessions, 0)).toBe(3);

  await login(2);
  const other = purging();
  // Only the database's clock decides how long ago the last purge was.
  for (let i = 0; i < 200; i++) {
    for (const { clock } of [replica, other]) clock.advance(60_000);
    await setImmediate();
  }
  expect([...replica.lines.slice(1), ...other.lines]).toEqual([]);
  await sql`update leases set finish_time = finish_time - interval '1 hour'`.execute(opened.db);
  const newLines = () => [...replica.lines.slice(1), ...other.lines];
  await moveUntil(() => newLines().length > 0, replica.clock, other.clock);
  expect(newLines()).toMatchObject([{ msg: "purge", outcome: "finished", sessions: 2 }]);
});

test("a draining replica stops after its batch, and another one continues", async () => {
  await login(1200);
  const draining = purging();
  await moveUntil(() => draining.batches.length > 0, draining.clock);
  await draining.stop();
  const first = draining.batches.reduce((sum, { sessions }) => sum + sessions, 0);
  expect(first).toBeLessThan(1200);
  expect(draining.lines).toMatchObject([{ msg: "purge", outcome: "interrupted", sessions: first }]);
  const next = purging();
  await moveUntil(() => next.lines.length > 0, next.clock);
  expect(next.lines).toMatchObject([{ outcome: "finished", sessions: 1200 - first }]);
});

test("a replica that waits stops at once", async () => {
  const replica = purging();
  await replica.stop();
  expect(replica.clock.pending).toBe(0);
  expect(replica.lines).toEqual([]);
});

test("logs an unreachable database, and tries again later", async () => {
  const replica = purging("postgres://unreachable@127.0.0.1:1/none");
  await moveUntil(() => replica.lines.length > 1, replica.clock);
  expect(replica.lines.map(({ msg }) => msg)).toEqual(Array(2).fill("purge failed; it will be tried again"));
});

test("a machine whose clock is ahead purges nothing too early", async () => {
  const sinceEnd = (ms: number) => ({ expireTime: new Date(Date.now() - ms), lastAccessTime: at(0) });
  const { session: kept } = await storedSession(opened.store, project, sinceEnd(retention - hour));
  await storedSession(opened.store, project, sinceEnd(retention + hour));
  const { now } = Date;
  Date.now = () => now() + day;
  onTestFinished(() => void (Date.now = now));
  const replica = purging(opened.url, "database");
  await moveUntil(() => replica.lines.length > 0, replica.clock);
  expect(replica.lines).toMatchObject([{ msg: "purge", outcome: "finished", sessions: 1 }]);
  expect(await opened.store.sessions.findSession(project.id, kept.id)).toBeDefined();
});
