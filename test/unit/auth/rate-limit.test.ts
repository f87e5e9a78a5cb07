import fc from "fast-check";
import { expect, test } from "vitest";
import { RateLimit } from "../../../src/auth/rate-limit.ts";
import { manualClock } from "../rpc/manual-clock.ts";

test("allows a burst, then one call per token, and returns the time until the next", () => {
  const clock = manualClock();
  const limit = new RateLimit({ perSecond: 2, burst: 3 }, clock);
  expect([1, 2, 3].map(() => limit.take("a"))).toEqual([0, 0, 0]);
  expect(limit.take("a")).toBe(500);
  expect(limit.take("b"), "another key").toBe(0);
  clock.advance(499);
  expect(limit.take("a")).toBe(1);
  expect(limit.wait("a")).toBe(1);
  clock.advance(1);
  expect(limit.wait("a"), "wait takes no token").toBe(0);
  expect(limit.take("a")).toBe(0);
  expect(limit.take("a")).toBe(500);
});

test("charges beyond the last token are owed, up to one bucket", () => {
  const clock = manualClock();
  const limit = new RateLimit({ perSecond: 1, burst: 2 }, clock);
  for (let i = 0; i < 3; i++) limit.charge("a");
  expect(limit.wait("a")).toBe(2000);
  for (let i = 0; i < 100; i++) limit.charge("a");
  expect(limit.wait("a")).toBe(3000);
});

test("behaves like a bucket that is filled continuously", () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b"),
    wait: fc.nat(3000),
    act: fc.constantFrom("take", "wait"),
  });
  const rate = fc.record({
    perSecond: fc.integer({ min: 1, max: 8 }),
    burst: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(rate, fc.array(step, { maxLength: 60 }), ({ perSecond, burst }, steps) => {
      const clock = manualClock();
      const limit = new RateLimit({ perSecond, burst }, clock);
      // In thousandths of a token, which are integers here.
      const buckets = new Map([
        ["a", burst * 1000],
        ["b", burst * 1000],
      ]);
      for (const { key, wait, act } of steps) {
        clock.advance(wait);
        for (const [each, level] of buckets) {
          buckets.set(each, Math.min(burst * 1000, level + wait * perSecond));
        }
        const level = buckets.get(key) ?? 0;
        const expected = level >= 1000 ? 0 : (1000 - level) / perSecond;
        expect(act === "take" ? limit.take(key) : limit.wait(key)).toBeCloseTo(expected, 3);
        if (act === "take" && level >= 1000) buckets.set(key, level - 1000);
      }
    }),
  );
});

test("evicts full buckets, and the least recently used beyond its capacity", () => {
  const clock = manualClock();
  const limit = new RateLimit({ perSecond: 1, burst: 2 }, clock, 100);
  for (let i = 0; i < 2; i++) limit.take("used again and again");
  for (let i = 0; i < 1000; i++) {
    limit.take(`key ${i}`);
    limit.charge("used again and again");
  }
  expect(limit.size).toBe(100);
  expect(limit.take("used again and again")).toBeGreaterThan(0);
  clock.advance(10_000);
  for (let i = 0; i < 60; i++) limit.take(`new ${i}`);
  expect(limit.size).toBeLessThanOrEqual(60);
});
