import { expect, test } from "vitest";
import { momentOf } from "../../../../src/client/verifier/stream/clock.ts";
import { Freshness } from "../../../../src/client/verifier/stream/freshness.ts";
import { StalenessAlarm } from "../../../../src/client/verifier/stream/staleness-alarm.ts";
import { manualVerifierClock } from "./verifier-clock.ts";

function freshness() {
  const clock = manualVerifierClock();
  return { clock, freshness: new Freshness(clock) };
}

test("nothing is known before the first proof", () => {
  expect(freshness().freshness.staleness()).toBe(Infinity);
});

test("a message is as new as the call's start and what the server says had elapsed, however long it was on its way", () => {
  const { clock, freshness: held } = freshness();
  const callStart = momentOf(clock);
  clock.advance(10_000);
  held.proven(callStart, 3000);
  expect(held.staleness()).toBe(7000);
  clock.advance(500);
  expect(held.staleness()).toBe(7500);
});

test("a server cannot make a message newer than its arrival, and an older one does not undo a newer", () => {
  const { clock, freshness: held } = freshness();
  const callStart = momentOf(clock);
  clock.advance(1000);
  held.proven(callStart, 99_000);
  expect(held.staleness()).toBe(0);
  clock.advance(100);
  held.proven(callStart, 200);
  expect(held.staleness()).toBe(100);
});

test("the time a machine was suspended counts", () => {
  const { clock, freshness: held } = freshness();
  held.proven(momentOf(clock), 0);
  clock.suspend(60_000);
  expect(held.staleness()).toBe(60_000);
});

test("a call begun before a suspension proves nothing that came after", () => {
  const { clock, freshness: held } = freshness();
  const callStart = momentOf(clock);
  clock.suspend(60_000);
  held.proven(callStart, 100);
  expect(held.staleness()).toBeGreaterThanOrEqual(59_900);
});

test("a wall clock that is set back does not make anything younger", () => {
  const { clock, freshness: held } = freshness();
  held.proven(momentOf(clock), 0);
  clock.advance(4000);
  clock.suspend(-60_000);
  expect(held.staleness()).toBe(4000);
});

test("the alarm tells each change once, at its time", () => {
  const { clock, freshness: held } = freshness();
  const told: string[] = [];
  const alarm = new StalenessAlarm(held, clock, 5000, {
    fresh: () => told.push("fresh"),
    stale: (staleness) => told.push(`stale ${staleness}`),
  });
  expect(alarm.isFresh()).toBe(false);
  held.proven(momentOf(clock), 0);
  expect(alarm.isFresh()).toBe(true);
  clock.advance(3000);
  held.proven(momentOf(clock), 0);
  expect(alarm.isFresh()).toBe(true);
  clock.advance(4999);
  expect(told).toEqual(["fresh"]);
  clock.advance(1);
  expect(told).toEqual(["fresh", "stale 5000"]);
  held.proven(momentOf(clock), 0);
  expect(alarm.isFresh()).toBe(true);
  expect(told).toEqual(["fresh", "stale 5000", "fresh"]);
  alarm.close();
  expect(clock.pending).toBe(0);
});
