import { expect, test } from "vitest";
import { momentOf } from "../../../../src/client/clock.ts";
import { Freshness } from "../../../../src/client/verifier/revocations/freshness.ts";
import { manualVerifierClock } from "./verifier-clock.ts";

function open(onChange: (isFresh: boolean) => void = () => undefined) {
  const clock = manualVerifierClock();
  return { clock, freshness: new Freshness(clock, 5000, onChange) };
}

test("a message is as new as the call's start plus the server's elapsed time, however late it arrives", () => {
  const { clock, freshness } = open();
  expect(freshness.staleness()).toBe(Infinity);
  const callStart = momentOf(clock);
  clock.advance(10_000);
  freshness.recordSync(callStart, 3000);
  expect(freshness.staleness()).toBe(7000);
  clock.advance(500);
  expect(freshness.staleness()).toBe(7500);
});

test("a message is never newer than its arrival, and an older one does not undo a newer one", () => {
  const { clock, freshness } = open();
  const callStart = momentOf(clock);
  clock.advance(1000);
  freshness.recordSync(callStart, 99_000);
  expect(freshness.staleness()).toBe(0);
  clock.advance(100);
  freshness.recordSync(callStart, 200);
  expect(freshness.staleness()).toBe(100);
});

test("a call from before a suspension proves nothing about the time after it", () => {
  const { clock, freshness } = open();
  const callStart = momentOf(clock);
  clock.suspend(60_000);
  freshness.recordSync(callStart, 100);
  expect(freshness.staleness()).toBeGreaterThanOrEqual(59_900);
});

test.each([
  ["a suspension of the machine counts", 0, 60_000, 60_000],
  ["a wall clock that is set back makes nothing newer", 4000, -60_000, 4000],
])("%s", (_, advanceMs, suspendMs, staleness) => {
  const { clock, freshness } = open();
  freshness.recordSync(momentOf(clock), 0);
  clock.advance(advanceMs);
  clock.suspend(suspendMs);
  expect(freshness.staleness()).toBe(staleness);
});

test("reports each change once, at its time", () => {
  const changes: boolean[] = [];
  const { clock, freshness } = open((isFresh) => changes.push(isFresh));
  expect(freshness.isFresh()).toBe(false);
  freshness.recordSync(momentOf(clock), 0);
  expect(freshness.isFresh()).toBe(true);
  clock.advance(3000);
  freshness.recordSync(momentOf(clock), 0);
  expect(freshness.isFresh()).toBe(true);
  clock.advance(4999);
  expect(changes).toEqual([true]);
  clock.advance(1);
  expect(changes).toEqual([true, false]);
  freshness.recordSync(momentOf(clock), 0);
  expect(freshness.isFresh()).toBe(true);
  expect(changes).toEqual([true, false, true]);
  freshness.close();
  expect(clock.pending).toBe(0);
});
