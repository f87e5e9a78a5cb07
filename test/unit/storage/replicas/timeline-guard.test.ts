import { expect, test } from "vitest";
import { Lease } from "../../../../src/storage/replicas/lease.ts";
import type { Renewal } from "../../../../src/storage/replicas/renewal.ts";
import { type RefusalCause, TimelineGuard } from "../../../../src/storage/replicas/timeline-guard.ts";
import { manualClock } from "../../rpc/manual-clock.ts";

function guarded() {
  const clock = manualClock();
  const moment = () => ({ monotonic: clock.now(), wall: clock.now() });
  const refusals: RefusalCause[] = [];
  const guard = new TimelineGuard(new Lease(moment), clock, (cause) => refusals.push(cause));
  const renew = (renewal: Partial<Renewal> = {}) => guard.renewed({ ...usual, ...renewal }, moment());
  /** Whether a revocation may be acknowledged now. */
  const isOpen = () => guard.passed() === undefined;
  return { clock, guard, refusals, renew, isOpen };
}

const usual: Renewal = {
  timeMs: 0,
  timeline: 3,
  system: "one",
  isSynchronous: true,
  recoveryId: undefined,
  hasOlderLeases: false,
};

test("reads are used while the lease holds", () => {
  const { guard, renew, clock, refusals } = guarded();
  expect(() => guard.admit(3)).toThrow("no synchronous standby has confirmed");
  renew();
  expect(guard.admit(3)).toBe("use");
  clock.advance(1_999);
  expect(guard.admit(3)).toBe("use");
  clock.advance(1);
  expect(() => guard.admit(3)).toThrow("no synchronous standby has confirmed");
  renew();
  expect(guard.admit(3)).toBe("use");
  expect(refusals).toEqual(["lease", "lease"]);
});

test("a newer timeline is followed, and the read that shows it runs again", () => {
  const { guard, renew, refusals } = guarded();
  renew();
  expect(guard.admit(4)).toBe("repeat");
  expect(guard.admit(4)).toBe("use");
  expect(() => guard.admit(3)).toThrow("on timeline 3 answered, but timeline 4");
  expect(() => guard.written("00000003")).toThrow("on timeline 3 answered, but timeline 4");
  expect(refusals).toEqual(["timeline", "timeline"]);
  expect(guard.newest).toBe(4);
});

test("a database without timelines is used, and its revocations wait for nothing", () => {
  const { guard, renew, isOpen } = guarded();
  renew({ timeline: undefined, isSynchronous: false });
  expect(guard.admit(undefined)).toBe("use");
  guard.written(null);
  expect(isOpen()).toBe(true);
});

test("renewals on an older timeline of the same database are refused until a recovery there, or of another process", () => {
  const { renew, guard } = guarded();
  renew({ timeline: 4 });
  expect(renew({ timeline: 3 })).toBe("refused");
  expect(guard.newest).toBe(4);
  expect(renew({ timeline: 3, recoveryId: "r" })).toBe("moved");
  expect(guard.admit(3)).toBe("use");
  expect(renew({ timeline: 3, recoveryId: "r" })).toBe("kept");
  const restarted = guarded();
  expect(restarted.renew({ timeline: 3 })).toBe("moved");
});

test("the first renewal after a refusal says that connections may lead to another server", () => {
  const { renew, guard } = guarded();
  expect(renew({ timeline: 4 })).toBe("moved");
  expect(renew({ timeline: 4 })).toBe("kept");
  expect(() => guard.admit(3)).toThrow("timeline 3");
  expect(renew({ timeline: 4 })).toBe("moved");
  expect(renew({ timeline: 4 })).toBe("kept");
  expect(renew({ timeline: 3 })).toBe("refused");
  expect(renew({ timeline: 4 })).toBe("moved");
});

test("a refused renewal keeps no lease", () => {
  const { renew, guard, clock } = guarded();
  renew({ timeline: 4 });
  clock.advance(2_000);
  renew({ timeline: 3 });
  expect(() => guard.admit(4)).toThrow("no synchronous standby has confirmed");
});

test("an older timeline of another database is followed", () => {
  const { renew, guard } = guarded();
  renew({ timeline: 4 });
  expect(renew({ timeline: 1, system: "other" })).toBe("moved");
  expect(guard.admit(1)).toBe("use");
});

test("after a start, revocations wait 2 s only if others renewed on an older timeline", () => {
  const alone = guarded();
  alone.renew();
  expect(alone.isOpen()).toBe(true);

  const { renew, isOpen, clock, guard } = guarded();
  renew({ hasOlderLeases: true });
  clock.advance(2_000);
  renew({ hasOlderLeases: true });
  expect(isOpen()).toBe(false);
  clock.advance(100);
  expect(isOpen()).toBe(true);
  renew({ hasOlderLeases: true });
  guard.written("00000003");
  expect(isOpen()).toBe(true);
});

test.each(["read", "write", "renewal"])(
  "a newer timeline, seen by a %s, closes the gate for 2 s",
  async (by) => {
    const { renew, isOpen, clock, guard } = guarded();
    renew();
    const see = {
      read: () => guard.admit(4),
      write: () => guard.written("00000004"),
      renewal: () => renew({ timeline: 4, hasOlderLeases: true }),
    }[by];
    see?.();
    expect(isOpen()).toBe(false);
    const passed = guard.passed();
    clock.advance(2_099);
    renew({ timeline: 4, hasOlderLeases: true });
    expect(isOpen()).toBe(false);
    clock.advance(1);
    await passed;
    expect(isOpen()).toBe(true);
  },
);

test("the gate opens as soon as no other process has an older lease", async () => {
  const { renew, isOpen, guard } = guarded();
  renew();
  guard.admit(4);
  const passed = guard.passed();
  renew({ timeline: 4 });
  await passed;
  expect(isOpen()).toBe(true);
});

test("a second promotion prolongs the wait", () => {
  const { renew, isOpen, clock, guard } = guarded();
  renew();
  guard.admit(4);
  clock.advance(1_500);
  guard.admit(5);
  clock.advance(2_000);
  expect(isOpen()).toBe(false);
  clock.advance(100);
  expect(isOpen()).toBe(true);
});
