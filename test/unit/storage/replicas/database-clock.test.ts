import { expect, test } from "vitest";
import { DatabaseClock } from "../../../../src/storage/replicas/database-clock.ts";

const start = Date.parse("2026-03-01T12:00:00Z");

/** A clock on a machine that started at 1000 on its monotonic clock, whose own time is `wallError` ms wrong. */
function databaseClock(wallError = 0) {
  let monotonic = 1_000;
  const clock = new DatabaseClock(
    () => monotonic,
    () => start + wallError,
  );
  return {
    shown: () => clock.now().getTime() - start,
    /** The database read `time` ms after the start, between these two times. */
    measured: (time: number, sentAt: number, receivedAt: number) =>
      clock.measured(start + time, sentAt, receivedAt),
    ahead: () => [clock.machineAheadMs, clock.machineIsWrong],
    at: (ms: number) => (monotonic = 1_000 + ms),
  };
}

test("shows this machine's time until the first measurement, then the database's", () => {
  const { shown, measured, at } = databaseClock(15_000);
  expect(shown()).toBe(15_000);
  at(10);
  measured(5, 1_000, 1_010);
  expect(shown()).toBe(10);
  at(60_010);
  expect(shown()).toBe(60_010);
});

test.each([
  [30_000, false],
  [-30_000, false],
  [30_001, true],
  [-30_001, true],
])("says whether this machine's clock, %i ms ahead, is wrong", (ahead, isWrong) => {
  const clock = databaseClock(ahead);
  clock.measured(0, 1_000, 1_000);
  expect(clock.ahead()).toEqual([ahead, isWrong]);
});

test("keeps the most precise measurement while it is the most precise", () => {
  const { shown, measured, at } = databaseClock();
  at(2);
  measured(1, 1_000, 1_002);
  // Three times as uncertain, and wrong by 2 ms.
  at(502);
  measured(497, 1_496, 1_502);
  expect(shown()).toBe(502);
  // After 10 s, 1 ms of uncertainty has become 6 ms.
  at(10_502);
  measured(10_497, 11_496, 11_502);
  expect(shown()).toBe(10_500);
});

test("follows a database whose clock was set, or another server with another clock", () => {
  const { shown, measured, at } = databaseClock();
  at(2);
  measured(1, 1_000, 1_002);
  at(600);
  // Imprecise, but 5 s away from what the precise measurement says.
  measured(5_550, 1_500, 1_600);
  expect(shown()).toBe(5_600);
});
