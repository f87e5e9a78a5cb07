import { expect, test } from "vitest";
import { Readiness } from "../../../src/rpc/grpc/readiness.ts";
import { manualClock } from "./manual-clock.ts";

/** A readiness whose probes the test answers. */
function probedByHand() {
  const clock = manualClock();
  const probes: PromiseWithResolvers<boolean>[] = [];
  let changes = 0;
  const readiness = new Readiness(
    {
      clock,
      maxAgeMs: 100,
      timeoutMs: 1_000,
      probe() {
        const probe = Promise.withResolvers<boolean>();
        probes.push(probe);
        return probe.promise;
      },
    },
    () => changes++,
  );
  return { clock, probes, readiness, changes: () => changes };
}

test("concurrent checks share one probe", async () => {
  const { probes, readiness } = probedByHand();
  const answers = Array.from({ length: 1_000 }, () => readiness.check());
  expect(probes).toHaveLength(1);
  probes[0]?.resolve(true);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
});

test("a result is reused for its maximum age, and no longer", async () => {
  const { clock, probes, readiness } = probedByHand();
  const first = readiness.check();
  probes[0]?.resolve(true);
  await first;
  clock.advance(99);
  expect(await readiness.check()).toBe(true);
  expect(probes).toHaveLength(1);
  clock.advance(1);
  const second = readiness.check();
  expect(probes).toHaveLength(2);
  probes[1]?.resolve(false);
  expect(await second).toBe(false);
});

test.each([
  ["rejects", () => Promise.reject(new Error("down"))],
  [
    "throws",
    () => {
      throw new Error("down");
    },
  ],
])("a probe that %s counts as false", async (_name, probe) => {
  const clock = manualClock();
  const readiness = new Readiness({ clock, maxAgeMs: 0, timeoutMs: 1_000, probe }, () => {});
  expect(await readiness.check()).toBe(false);
  expect(clock.pending).toBe(0);
});

test("the result is false while a probe hangs, no other probe starts, and a late result counts", async () => {
  const { clock, probes, readiness, changes } = probedByHand();
  const first = readiness.check();
  clock.advance(1_000);
  expect(await first).toBe(false);
  clock.advance(10_000);
  expect(await readiness.check()).toBe(false);
  expect(probes).toHaveLength(1);
  expect(changes()).toBe(0);
  probes[0]?.resolve(true);
  await probes[0]?.promise;
  await Promise.resolve();
  expect(readiness.last).toBe(true);
  expect(changes()).toBe(1);
});

test("onChange is called for changes only", async () => {
  const { clock, probes, readiness, changes } = probedByHand();
  for (const [i, ready] of [true, true, false, false, true].entries()) {
    const answer = readiness.check();
    probes[i]?.resolve(ready);
    await answer;
    clock.advance(100);
  }
  expect(changes()).toBe(3);
});
