import { expect, test } from "vitest";
import { Lease } from "../../../../src/storage/replicas/lease.ts";

/** A lease, and the two clocks that it reads. */
function leaseAt() {
  const clocks = { monotonic: 1_000, wall: 1_000_000 };
  return { clocks, lease: new Lease(() => ({ ...clocks })) };
}

test("a lease does not hold before its first renewal, because the database may have synchronous standbys", () => {
  const { lease } = leaseAt();
  expect(lease.holds).toBe(false);
  expect(lease.ageMs).toBe(Infinity);
});

test.each([
  ["both clocks", { monotonic: 1_999, wall: 1_999 }, { monotonic: 2_000, wall: 2_000 }],
  // A suspended machine stops its monotonic clock.
  ["the wall clock alone", { monotonic: 0, wall: 1_999 }, { monotonic: 0, wall: 2_000 }],
  // An operator sets the wall clock back.
  ["the monotonic clock alone", { monotonic: 1_999, wall: -60_000 }, { monotonic: 2_000, wall: -60_000 }],
])("a lease holds for 2 s from the start of its renewal, by %s", (_, before, after) => {
  const { lease, clocks } = leaseAt();
  const startedAt = { ...clocks };
  lease.renewed(startedAt, true);
  const passed = (ms: typeof before) => {
    clocks.monotonic = startedAt.monotonic + ms.monotonic;
    clocks.wall = startedAt.wall + ms.wall;
    return lease.holds;
  };
  expect(passed(before)).toBe(true);
  expect(passed(after)).toBe(false);
  lease.renewed({ ...clocks }, true);
  expect(lease.holds).toBe(true);
});

test("without synchronous standbys the lease does not end, until a server says that it has some", () => {
  const { lease, clocks } = leaseAt();
  lease.renewed({ ...clocks }, false);
  clocks.monotonic += 60_000;
  clocks.wall += 60_000;
  expect(lease.holds).toBe(true);
  lease.require();
  expect(lease.holds).toBe(false);
});
