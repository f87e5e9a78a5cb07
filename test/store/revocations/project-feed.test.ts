import { sql } from "kysely";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type Clock, systemClock } from "../../../src/domain/clock.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import type { Project } from "../../../src/domain/project.ts";
import {
  type FeedMessage,
  type FeedOptions,
  defaultFeedOptions,
} from "../../../src/domain/revocations/project-feed.ts";
import { RevocationFeeds, type WatchStart } from "../../../src/domain/revocations/revocation-feeds.ts";
import type { RevocationLog } from "../../../src/domain/revocations/revocation-log.ts";
import { manualClock } from "../../unit/rpc/manual-clock.ts";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { at, memberId, must, orderOf, storedProject } from "../../support/fixtures/stored.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";

let database: TestDatabase;
let opened: OpenStore;

beforeAll(async () => {
  database = await createTestDatabase();
  opened = openStore(database.url);
});

afterAll(async () => {
  await opened.close();
  await database.drop();
});

/** The log of the store, whose readings are counted and can be held up or made to fail. */
class ObservedLog implements RevocationLog {
  readings = 0;
  /** Awaited before each reading. */
  before: () => Promise<void> = async () => undefined;

  async readRevocations(...args: Parameters<RevocationLog["readRevocations"]>) {
    this.readings++;
    await this.before();
    return opened.store.revocations.readRevocations(...args);
  }
  oldestResumable: RevocationLog["oldestResumable"] = (id) => opened.store.revocations.oldestResumable(id);
  oldestRelevantRevision: RevocationLog["oldestRelevantRevision"] = (id, now) =>
    opened.store.revocations.oldestRelevantRevision(id, now);
}

interface Setup {
  readonly clock?: Clock;
  readonly options?: Partial<FeedOptions>;
}

/** A project with its feeds, which hear of commits only through `changed`. */
async function setUp({ clock = systemClock, options = {} }: Setup = {}) {
  const project = await storedProject(opened.store);
  const log = new ObservedLog();
  const feeds = new RevocationFeeds(log, clock, () => at(0), { ...defaultFeedOptions, ...options });
  const revoke = async (count = 1) => {
    for (let i = 0; i < count; i++) {
      await opened.store.revocations.revoke(orderOf(project, { scope: "member", id: memberId("ada") }));
    }
  };
  return { project, log, feeds, revoke, watch: watcherOf(feeds, project) };
}

function watcherOf(feeds: RevocationFeeds, { id }: Project) {
  return (start: WatchStart = "now", heartbeat = 60_000) => {
    const end = new AbortController();
    onTestFinished(() => end.abort());
    const stream = feeds.watch({ projectId: id, start, heartbeat, signal: end.signal });
    const next = async (): Promise<FeedMessage> => (await stream.next()).value;
    const failure = async () => next().catch((error: unknown) => error);
    const stop = async () => {
      end.abort();
      await stream.return(undefined as never);
    };
    return { next, failure, stop };
  };
}

const revisionsOf = ({ revocations }: FeedMessage) => revocations.map(({ revision }) => revision);

test("a watcher that falls out of the ring is cut, the others are not, and it can resume", async () => {
  const { project, feeds, revoke, watch } = await setUp({ options: { ringSize: 3 } });
  const slow = watch();
  const quick = watch();
  await Promise.all([slow.next(), quick.next()]);
  for (let revision = 1; revision <= 5; revision++) {
    await revoke();
    feeds.changed(project.id);
    expect(revisionsOf(await quick.next())).toEqual([revision]);
  }
  expect(await slow.failure()).toMatchObject({ reason: "WATCHER_TOO_SLOW" });
  expect(revisionsOf(await watch({ after: 0 }).next())).toEqual([1, 2, 3, 4, 5]);
});

test("one reading serves all watchers, however many", async () => {
  const { project, log, feeds, revoke, watch } = await setUp({ clock: manualClock() });
  const watchers = Array.from({ length: 100 }, () => watch());
  await Promise.all(watchers.map((watcher) => watcher.next()));
  // One for the first, and one that began after the others had come.
  expect(log.readings).toBeLessThanOrEqual(2);
  const before = log.readings;
  await revoke();
  const received = watchers.map((watcher) => watcher.next());
  feeds.changed(project.id);
  expect((await Promise.all(received)).map(revisionsOf)).toEqual(watchers.map(() => [1]));
  expect(log.readings).toBe(before + 1);
});

test("nobody watches: nothing is read", async () => {
  const clock = manualClock();
  const { project, log, feeds, watch } = await setUp({ clock });
  const watcher = watch("now", 1000);
  await watcher.next();
  await watcher.stop();
  expect(clock.pending).toBe(0);
  const before = log.readings;
  feeds.changed(project.id);
  feeds.changed(undefined);
  clock.advance(60_000);
  expect(log.readings).toBe(before);
});

test("watchers are sent elsewhere once the database has not answered for too long, and not before", async () => {
  const clock = manualClock();
  const { log, watch } = await setUp({ clock, options: { pollInterval: 1000, patience: 3000 } });
  const watcher = watch();
  await watcher.next();
  const settled = { done: false };
  const failure = watcher.failure().finally(() => (settled.done = true));
  const gone = new SessiondError("DATABASE_UNAVAILABLE");
  log.before = () => Promise.reject(gone);
  const before = log.readings;
  clock.advance(1000);
  await vi.waitUntil(() => log.readings > before && clock.pending > 0, patience);
  expect(settled.done).toBe(false);
  while (!settled.done) {
    clock.advance(100);
    await new Promise(setImmediate);
  }
  expect(await failure).toBe(gone);
  // Since its first reading failed, at 1,000, no less than `patience`.
  expect(clock.now()).toBeGreaterThanOrEqual(4000);
});

test("a database that was away for a moment costs no watcher its stream", async () => {
  const clock = manualClock();
  const { log, revoke, watch } = await setUp({ clock, options: { pollInterval: 1000, patience: 3000 } });
  const watcher = watch();
  await watcher.next();
  const next = watcher.next();
  log.before = () => Promise.reject(new SessiondError("DATABASE_UNAVAILABLE"));
  const before = log.readings;
  clock.advance(1000);
  await vi.waitUntil(() => log.readings > before && clock.pending > 0, patience);
  await revoke();
  log.before = async () => undefined;
  clock.advance(1000);
  expect(revisionsOf(await next)).toEqual([1]);
});

test("a database that is silent from the start of a reading has not answered since then", async () => {
  const clock = manualClock();
  const { project, log, feeds, watch } = await setUp({ clock, options: { patience: 3000 } });
  const watcher = watch();
  await watcher.next();
  const failure = watcher.failure();
  const silence = Promise.withResolvers<void>();
  log.before = () => silence.promise;
  feeds.changed(project.id);
  clock.advance(15_000);
  silence.reject(new SessiondError("DATABASE_UNAVAILABLE"));
  expect(await failure).toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
});

test("a heartbeat claims no freshness that it does not have", async () => {
  const clock = manualClock();
  const { log, watch } = await setUp({ clock });
  const watcher = watch("now", 1000);
  const first = await watcher.next();
  log.before = () => new Promise(() => undefined);
  for (let i = 0; i < 3; i++) {
    const next = watcher.next();
    await new Promise(setImmediate);
    clock.advance(1000);
    expect(await next).toEqual(first);
  }
});

test("watchers hear of revocations while ever more are committed", async () => {
  const { project, log, feeds, revoke, watch } = await setUp({ clock: manualClock() });
  const watcher = watch();
  await watcher.next();
  // Told during every reading that there is more: the readings never end.
  log.before = async () => feeds.changed(project.id);
  await revoke();
  feeds.changed(project.id);
  expect(revisionsOf(await watcher.next())).toEqual([1]);
  await revoke();
  expect(revisionsOf(await watcher.next())).toEqual([2]);
  log.before = async () => undefined;
});

/** What a purge does to the log. */
async function removeUpTo(project: Project, revision: number): Promise<void> {
  await sql`delete from revocations where project_id = ${project.id} and revision <= ${revision}`.execute(
    opened.db,
  );
}

test("a reader that stood still while retention overtook it leaves no gap: its watchers must resume", async () => {
  const { project, feeds, revoke, watch } = await setUp();
  const watcher = watch();
  await watcher.next();
  await revoke(5);
  await removeUpTo(project, 3);
  feeds.changed(project.id);
  expect(await watcher.failure()).toMatchObject({ reason: "WATCHER_TOO_SLOW" });
  const metadata = { oldest_revision: "3", revision: "5" };
  expect(await watch({ after: 0 }).failure()).toMatchObject({ reason: "REVISION_OUT_OF_RANGE", metadata });
  expect(revisionsOf(await watch({ after: 3 }).next())).toEqual([4, 5]);
});

test("a watcher that retention overtakes between two pages is told so", async () => {
  const { project, revoke, watch } = await setUp();
  await revoke(1);
  await sql`
    insert into revocations (project_id, revision, scope, target_id, revoke_time, cause, reason, actor)
    select project_id, n, scope, target_id, revoke_time, cause, reason, actor
    from revocations, generate_series(2, 2500) n where project_id = ${project.id}`.execute(opened.db);
  await sql`update project_revisions set revision = 2500 where project_id = ${project.id}`.execute(opened.db);
  const watcher = watch("oldest");
  expect(must(revisionsOf(await watcher.next()).at(-1))).toBe(1000);
  await removeUpTo(project, 1500);
  expect(await watcher.failure()).toMatchObject({ reason: "REVISION_OUT_OF_RANGE" });
});
