import { expect, test } from "vitest";
import { createReadiness } from "../../../src/rpc/grpc/readiness.ts";
import { manualClock } from "./manual-clock.ts";

/** A readiness whose probes the test answers, and how often things happened. */
function probedByHand() {
  const clock = manualClock();
  const probes: PromiseWithResolvers<boolean>[] = [];
  let changes = 0;
  const readiness = createReadiness(
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

test("a flood of questions makes one probe", async () => {
  const { probes, readiness } = probedByHand();
  const answers = Array.from({ length: 1_000 }, () => readiness.ask());
  expect(probes).toHaveLength(1);
  probes[0]?.resolve(true);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
});

test("an answer is good for its age, and no longer", async () => {
  const { clock, probes, readiness } = probedByHand();
  const first = readiness.ask();
  probes[0]?.resolve(true);
  await first;
  clock.advance(99);
  expect(await readiness.ask()).toBe(true);
  expect(probes).toHaveLength(1);
  clock.advance(1);
  const second = readiness.ask();
  expect(probes).toHaveLength(2);
  probes[1]?.resolve(false);
  expect(await second).toBe(false);
});

test("a probe that fails, now or later, says no", async () => {
  const clock = manualClock();
  const options = { clock, maxAgeMs: 0, timeoutMs: 1_000 };
  const later = createReadiness({ ...options, probe: () => Promise.reject(new Error("down")) }, () => {});
  expect(await later.ask()).toBe(false);
  const now = createReadiness(
    {
      ...options,
      probe() {
        throw new Error("down");
      },
    },
    () => {},
  );
  expect(await now.ask()).toBe(false);
  expect(clock.pending).toBe(0);
});

test("a probe that hangs says no, is not joined by others, and counts when it ends after all", async () => {
  const { clock, probes, readiness, changes } = probedByHand();
  const first = readiness.ask();
  clock.advance(1_000);
  expect(await first).toBe(false);
  clock.advance(10_000);
  expect(await readiness.ask()).toBe(false);
  expect(probes).toHaveLength(1);
  expect(changes()).toBe(0);
  probes[0]?.resolve(true);
  await probes[0]?.promise;
  await Promise.resolve();
  expect(readiness.last).toBe(true);
  expect(changes()).toBe(1);
});

test("only changes are told", async () => {
  const { clock, probes, readiness, changes } = probedByHand();
  for (const [i, ready] of [true, true, false, false, true].entries()) {
    const answer = readiness.ask();
    probes[i]?.resolve(ready);
    await answer;
    clock.advance(100);
  }
  expect(changes()).toBe(3);
});
