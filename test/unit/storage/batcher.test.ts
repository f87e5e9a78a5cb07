import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SessiondError } from "../../../src/domain/errors.ts";
import { type CallContext, unlimited } from "../../../src/transport/call-context.ts";
import { type BatchLimits, Batcher } from "../../../src/storage/connection/batcher.ts";
import { ConcurrencyLimit } from "../../../src/domain/concurrency-limit.ts";

const expired: CallContext = { ...unlimited, deadline: 0 };

/** A batcher whose batches are answered by the test. */
function controlled(limits: Partial<BatchLimits> = {}, limit?: ConcurrencyLimit) {
  const batches: { items: readonly string[]; answer: () => void; fail: (error: unknown) => void }[] = [];
  const run = (items: readonly string[]): Promise<readonly string[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    batches.push({ items, answer: () => resolve(items.map((item) => item.toUpperCase())), fail: reject });
    return promise;
  };
  const batcher = new Batcher(run, { maxItems: 100, maxRunning: 1, ...limits }, limit);
  const submitAll = (...items: string[]) => items.map((item) => batcher.submit(item));
  /** Answers a batch after everything that is due has happened. */
  const answer = async (i: number) => {
    await turn();
    batches[i]?.answer();
  };
  return { batcher, batches, submitAll, answer };
}

/** Lets everything that is due happen, and its consequences. */
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
  const { batches, submitAll, answer } = controlled();
  const answers = Promise.all(submitAll("a", "b", "c"));
  await answer(0);
  expect(batches.map(({ items }) => items)).toEqual([["a", "b", "c"]]);
  expect(await answers).toEqual(["A", "B", "C"]);
});

test("items that arrive while a batch runs wait for the next one", async () => {
  const { batcher, batches, submitAll, answer } = controlled();
  const first = batcher.submit("a");
  await turn();
  const others = Promise.all(submitAll("a", "b"));
  await turn();
  expect(batches).toHaveLength(1);
  batches[0]?.answer();
  expect(await first).toBe("A");
  await answer(1);
  expect(batches.map(({ items }) => items)).toEqual([["a"], ["a", "b"]]);
  expect(await others).toEqual(["A", "B"]);
});

test("batches keep to the limits of their number and size", async () => {
  const { batches, submitAll } = controlled({ maxItems: 2, maxRunning: 2 });
  const answers = Promise.all(submitAll("a", "b", "c", "d", "e"));
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
      if (items.includes("bad")) throw new Error("invalid item");
      return items;
    },
    { maxItems: 10, maxRunning: 1 },
  );
  const outcomes = await Promise.allSettled(["a", "bad", "b"].map((item) => batcher.submit(item)));
  expect(outcomes).toMatchObject([{ value: "a" }, { reason: { message: "invalid item" } }, { value: "b" }]);
  expect(runs).toEqual([["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
});

test("an outage fails the whole batch, which is not run again", async () => {
  const { batcher, batches, submitAll, answer } = controlled();
  const outcomes = Promise.allSettled(submitAll("a", "b"));
  await turn();
  const outage = new SessiondError("DATABASE_UNAVAILABLE");
  batches[0]?.fail(outage);
  const rejected = { status: "rejected", reason: outage };
  expect(await outcomes).toEqual([rejected, rejected]);
  expect(batches).toHaveLength(1);
  const next = batcher.submit("c");
  await answer(1);
  expect(await next).toBe("C");
});

test("the last caller to be answered finds the batcher idle", async () => {
  const { batcher, answer } = controlled();
  expect(batcher.idle).toBe(true);
  const isIdle = batcher.submit("a").then(() => batcher.idle);
  expect(batcher.idle).toBe(false);
  await answer(0);
  expect(await isIdle).toBe(true);
});

test("an item whose deadline has passed is dropped from its batch, with DEADLINE_EXCEEDED", async () => {
  const { batcher, batches, answer } = controlled();
  const first = batcher.submit("a");
  await turn();
  const late = batcher.submit("late", expired).catch((error: unknown) => error);
  const other = batcher.submit("b");
  batches[0]?.answer();
  expect(await first).toBe("A");
  expect(await late).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  await answer(1);
  expect(batches[1]?.items).toEqual(["b"]);
  expect(await other).toBe("B");
});

test("an item whose call was cancelled is dropped from its batch, with the signal's reason", async () => {
  const { batcher, batches, answer } = controlled();
  const reason = new Error("the client disconnected");
  const cancelled = batcher.submit("a", { ...unlimited, signal: AbortSignal.abort(reason), aborted: true });
  const other = batcher.submit("b");
  await expect(cancelled).rejects.toBe(reason);
  await answer(0);
  expect(batches.map(({ items }) => items)).toEqual([["b"]]);
  expect(await other).toBe("B");
});

test("a batch gets the signal of its call only if batches hold one item", async () => {
  const call = { ...unlimited, signal: new AbortController().signal };
  for (const maxItems of [1, 2]) {
    const signals: (AbortSignal | undefined)[] = [];
    const run = async (items: readonly number[], _: number, signal: AbortSignal | undefined) => {
      signals.push(signal);
      return items;
    };
    await new Batcher(run, { maxItems, maxRunning: 1 }).submit(0, call);
    expect(signals).toEqual([maxItems === 1 ? call.signal : undefined]);
  }
});

test("no batch starts if all its items are dropped", async () => {
  const { batcher, batches } = controlled();
  await expect(batcher.submit("late", expired)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(batches).toEqual([]);
  expect(batcher.idle).toBe(true);
});

test("a batch runs until its last deadline, or without one if an item has none", async () => {
  const deadlines: number[] = [];
  const run = async (items: readonly number[], deadline: number) => {
    deadlines.push(deadline);
    return items;
  };
  const batcher = new Batcher(run, { maxItems: 10, maxRunning: 1 });
  const soon = performance.now() + 60_000;
  const submit = (deadline: number) => batcher.submit(0, { ...unlimited, deadline });
  await Promise.all([submit(soon), submit(soon + 5), submit(soon + 2)]);
  await Promise.all([submit(soon), batcher.submit(0)]);
  expect(deadlines).toEqual([soon + 5, Infinity]);
});

test("items beyond the limit fail at once with OVERLOADED; answered ones free their places", async () => {
  const limit = new ConcurrencyLimit(3);
  const { batcher, submitAll, answer } = controlled({ maxItems: 2 }, limit);
  const waiting = Promise.all(submitAll("a", "b", "c"));
  await turn();
  await expect(batcher.submit("d")).rejects.toMatchObject({ reason: "OVERLOADED" });
  await answer(0);
  await turn();
  const next = Promise.all(submitAll("e", "f"));
  await expect(batcher.submit("g")).rejects.toMatchObject({ reason: "OVERLOADED" });
  await answer(1);
  await answer(2);
  expect(await waiting).toEqual(["A", "B", "C"]);
  expect(await next).toEqual(["E", "F"]);
});

test("items that failed or were dropped free their places", async () => {
  const limit = new ConcurrencyLimit(1);
  const { batcher, batches, answer } = controlled({}, limit);
  const failing = batcher.submit("a").catch((error: unknown) => error);
  await turn();
  batches[0]?.fail(new Error("invalid item"));
  await failing;
  await batcher.submit("late", expired).catch(() => undefined);
  const last = batcher.submit("b");
  await answer(1);
  expect(await last).toBe("B");
});
