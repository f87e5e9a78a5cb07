import { setImmediate as turn } from "node:timers/promises";
import { randomUUID } from "node:crypto";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Clock, systemClock } from "../../../../src/domain/clock.ts";
import { SessiondError } from "../../../../src/domain/errors.ts";
import type { RevocationId } from "../../../../src/domain/ids.ts";
import {
  type FeedMessage,
  type FeedOptions,
  defaultFeedOptions,
} from "../../../../src/domain/revocations/feed-message.ts";
import type { HistoryChange } from "../../../../src/domain/revocations/history.ts";
import { type Position, positionText } from "../../../../src/domain/revocations/position.ts";
import { RevocationFeeds, type WatchStart } from "../../../../src/domain/revocations/revocation-feeds.ts";
import type { LoggedRevocation, RevocationLog } from "../../../../src/domain/revocations/revocation-log.ts";
import { RevocationRing } from "../../../../src/domain/revocations/revocation-ring.ts";
import { patience } from "../../../support/patience.ts";
import { at, must, projectId } from "../../../support/fixtures/stored.ts";
import { manualClock } from "../../rpc/manual-clock.ts";

const id = projectId("project");

const newId = () => randomUUID() as RevocationId;

function revocation(revision: number): LoggedRevocation {
  const target = { scope: "member", targetId: "ada", exceptSessionId: undefined } as const;
  return { revision, id: newId(), ...target, time: at(0), cause: "logout", relevantUntil: at(0) };
}

/** A log in memory. */
class MemoryLog implements RevocationLog {
  readings = 0;
  recoveryIds: readonly string[] = [];
  /** Awaited before each read. */
  before: () => Promise<void> = async () => undefined;
  /** Awaited before the oldest position is read. */
  beforeOldest: () => Promise<void> = async () => undefined;
  #revocations: LoggedRevocation[] = [];
  #start: Position = { revision: 0, id: newId() };
  #head = this.#start;

  get head(): Position {
    return this.#head;
  }

  revoke(count = 1): void {
    for (let i = 0; i < count; i++) {
      const row = revocation(this.#head.revision + 1);
      this.#head = { revision: row.revision, id: row.id };
      this.#revocations.push(row);
    }
  }

  positionAt(revision: number): Position {
    return { revision, id: must(this.#idAt(revision)) };
  }

  /** Forgets the revocations after `revision`, as a restore of the database does. */
  restore(revision: number): void {
    this.#head = this.positionAt(revision);
    this.#revocations = this.#revocations.filter((row) => row.revision <= revision);
  }

  /** Starts a new history, as `sessiond recover` does. */
  recover(): void {
    this.#start = this.#head = { revision: this.#head.revision + 2 ** 40, id: newId() };
    this.recoveryIds = [randomUUID(), ...this.recoveryIds];
    this.revoke();
  }

  /** Removes the oldest revocations, as a purge does. */
  removeUpTo(last: number): void {
    this.#revocations = this.#revocations.filter(({ revision }) => revision > last);
  }

  async readRevocations(_: unknown, after: number, limit: number) {
    const { head, start, idAt: idBefore } = await this.readHead(_, after);
    const revocations = this.#revocations.filter(({ revision }) => revision > after).slice(0, limit);
    return { revocations, head, start, idBefore };
  }

  async readHead(_: unknown, revision: number) {
    this.readings++;
    await this.before();
    return {
      head: this.#head,
      start: this.#start,
      idAt: this.#idAt(revision),
      recoveryIds: this.recoveryIds,
    };
  }

  async oldestResumable(): Promise<Position> {
    await this.beforeOldest();
    const oldest = this.#revocations.find(({ revision }) => revision > this.#start.revision);
    return oldest === undefined || oldest.revision === this.#start.revision + 1 ? this.#start : oldest;
  }

  oldestRelevant(): Promise<Position> {
    return this.oldestResumable();
  }

  #idAt(at: number): RevocationId | undefined {
    return [...this.#revocations, this.#start].find(({ revision }) => revision === at)?.id;
  }
}

/** A project's log with its feeds, which learn of revocations only through `changed`. */
function setUp(options: Partial<FeedOptions> = {}, clock: Clock = systemClock) {
  const log = new MemoryLog();
  const changes: HistoryChange[] = [];
  const onHistoryChange = (change: HistoryChange) => void changes.push(change);
  const feeds = new RevocationFeeds(log, clock, () => at(0), {
    ...defaultFeedOptions,
    onHistoryChange,
    ...options,
  });
  const watch = (start: WatchStart = "now", heartbeat = 60_000, projectId = id) => {
    const end = new AbortController();
    onTestFinished(() => end.abort());
    const stream = feeds.watch({ projectId, start, heartbeat, signal: end.signal });
    const next = async (): Promise<FeedMessage> => (await stream.next()).value;
    const failure = async () => next().catch((error: unknown) => error);
    const stop = async () => {
      end.abort();
      await stream.return(undefined as never);
    };
    return { next, failure, stop };
  };
  return { log, feeds, watch, changes };
}

/** A feed on a manual clock, with a watcher that has received its first message. */
async function watching(options: Partial<FeedOptions> = {}, heartbeat?: number) {
  const clock = manualClock();
  const parts = setUp(options, clock);
  const watcher = parts.watch("now", heartbeat);
  return { clock, ...parts, watcher, first: await watcher.next() };
}

const unavailable = new SessiondError("DATABASE_UNAVAILABLE");

const revisionsOf = ({ revocations }: FeedMessage) => revocations.map(({ revision }) => revision);

test("a watcher that falls behind the ring fails, others do not, and it can resume", async () => {
  const { log, feeds, watch } = setUp({ ringSize: 3 });
  const slow = watch();
  const quick = watch();
  await Promise.all([slow.next(), quick.next()]);
  for (let revision = 1; revision <= 5; revision++) {
    log.revoke();
    feeds.changed(id);
    expect(revisionsOf(await quick.next())).toEqual([revision]);
  }
  expect(await slow.failure()).toMatchObject({ reason: "WATCHER_TOO_SLOW" });
  expect(revisionsOf(await watch({ after: log.positionAt(0) }).next())).toEqual([1, 2, 3, 4, 5]);
});

test("one read serves all watchers", async () => {
  const { log, feeds, watch } = setUp({}, manualClock());
  const watchers = Array.from({ length: 100 }, () => watch());
  await Promise.all(watchers.map((watcher) => watcher.next()));
  // One for the first, and one that started after the others had joined.
  expect(log.readings).toBeLessThanOrEqual(2);
  const before = log.readings;
  log.revoke();
  const received = watchers.map((watcher) => watcher.next());
  feeds.changed(id);
  expect((await Promise.all(received)).map(revisionsOf)).toEqual(watchers.map(() => [1]));
  expect(log.readings).toBe(before + 1);
});

test("without watchers the log is not read", async () => {
  const { clock, log, feeds, watcher } = await watching({}, 1000);
  await watcher.stop();
  expect(clock.pending).toBe(0);
  const before = log.readings;
  feeds.changed(id);
  feeds.changed(undefined);
  clock.advance(60_000);
  expect(log.readings).toBe(before);
});

test("while notifications do not arrive, a log is read every 50 ms, and many logs 200 times per second in all", async () => {
  const { clock, log, feeds, watch } = await watching({ pollInterval: 1000 });
  const readingsIn = async (ms: number) => {
    const before = log.readings;
    for (let passed = 0; passed < ms; passed++) {
      clock.advance(1);
      await turn();
    }
    return log.readings - before;
  };
  expect(await readingsIn(1000)).toBe(1);
  feeds.hear(false);
  await turn();
  expect(await readingsIn(1000)).toBeGreaterThanOrEqual(19);
  expect(await readingsIn(1000)).toBeLessThanOrEqual(20);
  const others = Array.from({ length: 99 }, (_, i) => watch("now", 60_000, `other-${i}` as typeof id));
  await Promise.all(others.map((watcher) => watcher.next()));
  await readingsIn(500);
  expect(await readingsIn(1000)).toBeLessThanOrEqual(210);
  feeds.hear(true);
  await turn();
  await readingsIn(1000);
  expect(await readingsIn(1000)).toBeLessThanOrEqual(100);
});

test("watchers fail once the database has not answered for `patience`, and not before", async () => {
  const { clock, log, watcher } = await watching({ pollInterval: 1000, patience: 3000 });
  const settled = { done: false };
  const failure = watcher.failure().finally(() => (settled.done = true));
  log.before = () => Promise.reject(unavailable);
  const before = log.readings;
  clock.advance(1000);
  await vi.waitUntil(() => log.readings > before && clock.pending > 0, patience);
  expect(settled.done).toBe(false);
  while (!settled.done) {
    clock.advance(100);
    await new Promise(setImmediate);
  }
  expect(await failure).toBe(unavailable);
  // The first read failed at 1,000; `patience` is 3,000.
  expect(clock.now()).toBeGreaterThanOrEqual(4000);
});

test("a short outage does not end a watch", async () => {
  const { clock, log, watcher } = await watching({ pollInterval: 1000, patience: 3000 });
  const next = watcher.next();
  log.before = () => Promise.reject(unavailable);
  const before = log.readings;
  clock.advance(1000);
  await vi.waitUntil(() => log.readings > before && clock.pending > 0, patience);
  log.revoke();
  log.before = async () => undefined;
  clock.advance(1000);
  expect(revisionsOf(await next)).toEqual([1]);
});

test("an outage counts from the start of the read that failed", async () => {
  const { clock, log, feeds, watcher } = await watching({ patience: 3000 });
  const failure = watcher.failure();
  const silence = Promise.withResolvers<void>();
  log.before = () => silence.promise;
  feeds.changed(id);
  clock.advance(15_000);
  silence.reject(unavailable);
  expect(await failure).toBe(unavailable);
});

test("a heartbeat repeats the time of the last successful read", async () => {
  const { clock, log, watcher, first } = await watching({}, 1000);
  log.before = () => new Promise(() => undefined);
  for (let i = 0; i < 3; i++) {
    const next = watcher.next();
    await new Promise(setImmediate);
    clock.advance(1000);
    expect(await next).toEqual(first);
  }
});

test("watchers get revocations while more are committed during each read", async () => {
  const { log, feeds, watcher } = await watching();
  // Each read is followed by another one.
  log.before = async () => feeds.changed(id);
  log.revoke();
  feeds.changed(id);
  expect(revisionsOf(await watcher.next())).toEqual([1]);
  log.revoke();
  expect(revisionsOf(await watcher.next())).toEqual([2]);
  log.before = async () => undefined;
});

test("watchers of a feed that retention has overtaken must resume, so that no revocation is skipped", async () => {
  const { log, feeds, watch } = setUp();
  log.revoke();
  const watcher = watch();
  await watcher.next();
  const seen = log.positionAt(1);
  log.revoke(5);
  log.removeUpTo(3);
  feeds.changed(id);
  expect(await watcher.failure()).toMatchObject({ reason: "WATCHER_TOO_SLOW" });
  const metadata = { oldest_revision: "4", revision: "6" };
  expect(await watch({ after: seen }).failure()).toMatchObject({ reason: "REVISION_OUT_OF_RANGE", metadata });
  expect(revisionsOf(await watch({ after: log.positionAt(4) }).next())).toEqual([5, 6]);
});

test("a watcher that retention overtakes between two pages fails", async () => {
  const { log, watch } = setUp();
  log.revoke(2500);
  const watcher = watch("oldest");
  expect(must(revisionsOf(await watcher.next()).at(-1))).toBe(1000);
  log.removeUpTo(1500);
  expect(await watcher.failure()).toMatchObject({ reason: "REVISION_OUT_OF_RANGE" });
});

test("the ring keeps the newest revocations and their start", () => {
  const ring = new RevocationRing(3, { revision: 5, id: newId() });
  const [six, seven, eight, nine] = [6, 7, 8, 9].map(revocation);
  ring.append([must(six), must(seven)]);
  expect([ring.start.revision, ring.head]).toEqual([5, seven]);
  ring.append([must(eight), must(nine)]);
  expect([ring.start, ring.head]).toEqual([six, nine]);
  expect(ring.after(7)).toEqual([eight, nine]);
  expect(ring.after(9)).toEqual([]);
  expect([5, 6, 8, 9, 10].map((revision) => ring.idAt(revision))).toEqual([
    undefined,
    six?.id,
    eight?.id,
    nine?.id,
    undefined,
  ]);
  const other = { revision: 20, id: newId() };
  ring.restart(other);
  expect([ring.start, ring.head, ...ring.after(20)]).toEqual([other, other]);
});

const historyChanged = { reason: "HISTORY_CHANGED" };

/** A log with ten revocations, and a watcher of it that is caught up. */
async function followed(heartbeat?: number) {
  const clock = manualClock();
  const parts = setUp({}, clock);
  parts.log.revoke(10);
  const watcher = parts.watch("now", heartbeat);
  const first = await watcher.next();
  return { clock, ...parts, watcher, first };
}

describe.for([
  ["to an earlier state", 0, "lower"],
  ["to an earlier state, and is as long again", 4, "replaced"],
  ["to an earlier state, and is longer since", 7, "replaced"],
] as const)("a log that goes back %s", ([, since, difference]) => {
  test("fails its watchers with the next read, is reported once, and is followed from a new start", async () => {
    const { log, feeds, watch, changes, watcher } = await followed();
    const lagging = watch({ after: log.positionAt(8) });
    await lagging.next();
    const known = log.head;
    log.restore(6);
    log.revoke(since);
    feeds.changed(id);
    const metadata = {
      oldest_revision: "0",
      oldest_position: positionText(log.positionAt(0)),
      revision: String(6 + since),
    };
    expect(await watcher.failure()).toMatchObject({ ...historyChanged, metadata });
    expect(await lagging.failure()).toMatchObject(historyChanged);
    expect(changes).toEqual([{ projectId: id, difference, known, head: log.head }]);
    expect(revisionsOf(await watch("snapshot").next())).toEqual(
      Array.from({ length: 6 + since }, (_, i) => i + 1),
    );
    expect(revisionsOf(await watch({ after: log.positionAt(6) }).next())).toHaveLength(since);
    expect(changes).toHaveLength(1);
  });

  test("is noticed by the first watcher after all had left", async () => {
    const { log, watch, changes, watcher } = await followed();
    const known = log.head;
    await watcher.stop();
    log.restore(6);
    log.revoke(since);
    expect(await watch({ after: known }).failure()).toMatchObject(historyChanged);
    expect(changes).toEqual([{ projectId: id, difference, known, head: log.head }]);
    expect(await watch("now").next()).toMatchObject({ position: log.head });
    expect(changes).toHaveLength(1);
  });
});

test.for([
  ["lost", 0, "lower"],
  ["lost and followed by another one", 1, "replaced"],
] as const)(
  "a revocation of this process that no read has shown, %s, is missed",
  async ([, since, difference]) => {
    const loseOne = async (isWatched: boolean) => {
      const { log, feeds, watch, changes, watcher } = await followed();
      if (!isWatched) await watcher.stop();
      log.revoke();
      const known = log.head;
      log.restore(10);
      log.revoke(since);
      feeds.wrote(id, known);
      const failure = isWatched ? await watcher.failure() : undefined;
      expect(await watch("now").next()).toMatchObject({ position: log.head });
      expect(changes).toEqual([{ projectId: id, difference, known, head: log.head }]);
      return failure;
    };
    expect(await loseOne(true)).toMatchObject(historyChanged);
    expect(await loseOne(false)).toBeUndefined();
  },
);

test("writes that are reported in another order than they were committed in are no change", async () => {
  const { log, feeds, watch, changes, watcher } = await followed();
  await watcher.stop();
  log.revoke(3);
  for (const revision of [12, 13, 11]) feeds.wrote(id, log.positionAt(revision));
  expect(await watch("now").next()).toMatchObject({ position: log.head });
  expect(changes).toEqual([]);
});

test("positions of callers that are not in the log are refused, and not reported", async () => {
  const { log, feeds, watch, changes, watcher } = await followed();
  log.revoke(2);
  feeds.changed(id);
  await watcher.next();
  for (const revision of [0, 5, 10, 11, 12, 13, 1000]) {
    expect(await watch({ after: { revision, id: newId() } }).failure()).toMatchObject(historyChanged);
  }
  expect(changes).toEqual([]);
  log.revoke();
  feeds.changed(id);
  expect(revisionsOf(await watcher.next())).toEqual([13]);
});

test("a recovery ends the old history: watchers fail, and no stream starts before the new one", async () => {
  const { log, feeds, watch, changes, watcher, first } = await followed();
  expect(first.recoveryIds).toEqual([]);
  const known = log.head;
  log.recover();
  feeds.changed(id);
  expect(await watcher.failure()).toMatchObject(historyChanged);
  expect(changes).toMatchObject([{ difference: "recovered", known }]);
  const { recoveryIds } = log;
  for (const start of ["snapshot", "oldest"] as const) {
    const stream = watch(start);
    expect(await stream.next()).toMatchObject({ recoveryIds, revocations: [{ revision: 2 ** 40 + 11 }] });
    await stream.stop();
  }
  const stream = watch();
  expect(await stream.next()).toMatchObject({ recoveryIds, position: log.head });
  log.revoke();
  feeds.changed(id);
  expect(await stream.next()).toMatchObject({ recoveryIds: [], position: log.head });
  expect(await watch({ after: known }).failure()).toMatchObject(historyChanged);
});

test("a log that has changed is not called up to date while the failure is prepared", async () => {
  const { clock, log, feeds, changes, watcher } = await followed(1000);
  const settled = { done: false };
  const failure = watcher.failure().finally(() => (settled.done = true));
  const preparing = Promise.withResolvers<void>();
  log.beforeOldest = () => preparing.promise;
  log.restore(6);
  feeds.changed(id);
  await vi.waitUntil(() => changes.length > 0, patience);
  for (let i = 0; i < 5; i++) {
    clock.advance(1000);
    await new Promise(setImmediate);
  }
  expect(settled.done).toBe(false);
  preparing.reject(unavailable);
  expect(await failure).toMatchObject(historyChanged);
});
