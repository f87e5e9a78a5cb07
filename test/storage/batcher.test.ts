import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SessiondError } from "../../src/domain/errors.ts";
import { type BatchLimits, Batcher } from "../../src/storage/batcher.ts";

/** A batcher whose batches end when the test says so. */
function controlled(limits: Partial<BatchLimits> = {}) {
  const batches: { items: readonly string[]; answer: () => void; fail: (error: unknown) => void }[] = [];
  const run = (items: readonly string[]): Promise<readonly string[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    batches.push({ items, answer: () => resolve(items.map((item) => item.toUpperCase())), fail: reject });
    return promise;
  };
  return { batcher: new Batcher(run, { maxItems: 100, maxRunning: 1, ...limits }), batches };
}

/** Lets everything happen that waits for nothing but its turn, and what that brings about in the next. */
async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

test("an item that finds a place free starts in the same turn of the event loop", async () => {
  const { batcher, batches } = controlled();
  const answer = batcher.submit("a");
  await setImmediate();
  expect(batches.map(({ items }) => items)).toEqual([["a"]]);
  batches[0]?.answer();
  expect(await answer).toBe("A");
});

test("items submitted together share a batch, and each is answered at its place", async () => {
  const { batcher, batches } = controlled();
  const answers = Promise.all(["a", "b", "c"].map((item) => batcher.submit(item)));
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([["a", "b", "c"]]);
  batches[0]?.answer();
  expect(await answers).toEqual(["A", "B", "C"]);
});

test("what arrives while a batch runs waits for the next, and never joins it", async () => {
  const { batcher, batches } = controlled();
  const first = batcher.submit("a");
  await turn();
  const others = Promise.all(["a", "b"].map((item) => batcher.submit(item)));
  await turn();
  expect(batches).toHaveLength(1);
  batches[0]?.answer();
  expect(await first).toBe("A");
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([["a"], ["a", "b"]]);
  batches[1]?.answer();
  expect(await others).toEqual(["A", "B"]);
});

test("as many batches run at once as may, and none is larger than it may be", async () => {
  const { batcher, batches } = controlled({ maxItems: 2, maxRunning: 2 });
  const answers = Promise.all(["a", "b", "c", "d", "e"].map((item) => batcher.submit(item)));
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  batches[1]?.answer();
  await turn();
  expect(batches[2]?.items).toEqual(["e"]);
  batches[0]?.answer();
  batches[2]?.answer();
  expect(await answers).toEqual(["A", "B", "C", "D", "E"]);
});

test("one bad item fails alone: the batch is run again one by one", async () => {
  const runs: (readonly string[])[] = [];
  const batcher = new Batcher(
    async (items: readonly string[]) => {
      runs.push(items);
      if (items.includes("bad")) throw new Error("no such thing as bad");
      return items;
    },
    { maxItems: 10, maxRunning: 1 },
  );
  const outcomes = await Promise.allSettled(["a", "bad", "b"].map((item) => batcher.submit(item)));
  expect(outcomes).toMatchObject([
    { value: "a" },
    { reason: { message: "no such thing as bad" } },
    { value: "b" },
  ]);
  expect(runs).toEqual([["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
});

test("an outage fails the batch at once and is not asked again", async () => {
  const { batcher, batches } = controlled();
  const outcomes = Promise.allSettled(["a", "b"].map((item) => batcher.submit(item)));
  await turn();
  const outage = new SessiondError("DATABASE_UNAVAILABLE");
  batches[0]?.fail(outage);
  expect(await outcomes).toEqual([
    { status: "rejected", reason: outage },
    { status: "rejected", reason: outage },
  ]);
  expect(batches).toHaveLength(1);
  const next = batcher.submit("c");
  await turn();
  batches[1]?.answer();
  expect(await next).toBe("C");
});

test("whoever is answered last finds it idle", async () => {
  const { batcher, batches } = controlled();
  expect(batcher.idle).toBe(true);
  const answer = batcher.submit("a").then(() => batcher.idle);
  expect(batcher.idle).toBe(false);
  await turn();
  batches[0]?.answer();
  expect(await answer).toBe(true);
});
