import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseFailure } from "../../../../src/storage/connection/database-errors.ts";
import { DatabaseClock } from "../../../../src/storage/replicas/database-clock.ts";
import { Lease } from "../../../../src/storage/replicas/lease.ts";
import { Presence, type PresenceState } from "../../../../src/storage/replicas/presence.ts";
import type { Renewal, RenewalConnection } from "../../../../src/storage/replicas/renewal.ts";
import { TimelineGuard } from "../../../../src/storage/replicas/timeline-guard.ts";
import { manualClock } from "../../rpc/manual-clock.ts";

/** A server of the database: what it answers, and whether its commits are confirmed. */
interface FakeServer extends Renewal {
  readonly mode: "confirms" | "hangs" | "is down" | "denies";
}

const usual: FakeServer = {
  mode: "confirms",
  timeMs: 0,
  timeline: 1,
  system: "one",
  isSynchronous: true,
  recoveryId: undefined,
  hasOlderLeases: false,
};

/** A presence on two hosts, "a" and "b". */
function presenceOn(servers: Record<string, FakeServer>) {
  const clock = manualClock();
  const moment = () => ({ monotonic: clock.now(), wall: clock.now() });
  const lease = new Lease(moment);
  const guard = new TimelineGuard(lease, clock);
  const states: PresenceState[] = [];
  const primaries: string[] = [];
  const removed: string[] = [];
  const hosts = Object.keys(servers);
  const connectionTo = (host: string): RenewalConnection => {
    return {
      open: async () => undefined,
      renew: async (onWritten) => {
        const { mode, ...renewal } = servers[host] ?? usual;
        if (mode === "denies") throw new Error("permission denied for table replicas");
        if (mode === "is down") throw new DatabaseFailure("down");
        onWritten(renewal);
        return mode === "hangs" ? new Promise(() => undefined) : renewal;
      },
      remove: async () => void removed.push(host),
      destroy: () => undefined,
    };
  };
  const presence = new Presence({
    servers: { hosts, connectionTo },
    lease,
    guard,
    databaseClock: new DatabaseClock(() => clock.now()),
    clock,
    moment,
    onPrimary: (host) => primaries.push(host),
    onState: (state) => states.push(state),
  });
  onTestFinished(() => presence.close());
  const set = (host: string, changes: Partial<FakeServer>) =>
    (servers[host] = { ...(servers[host] ?? usual), ...changes });
  /** Lets time pass in steps that are short enough for everything that waits. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await setImmediate();
    }
  };
  return { presence, lease, guard, states, primaries, removed, set, pass };
}

test("renews every 500 ms, so that the lease holds", async () => {
  const { presence, lease, states, primaries, pass } = presenceOn({ a: usual });
  await presence.start();
  for (let i = 0; i < 20; i++) {
    await pass(250);
    expect(lease.ageMs).toBeLessThanOrEqual(500);
  }
  expect(states).toEqual([]);
  expect(primaries).toEqual(["a"]);
});

test("loses the lease 2 s after the last renewal that was confirmed, and has it again with the next one", async () => {
  const { presence, lease, states, set, pass } = presenceOn({ a: usual });
  await presence.start();
  set("a", { mode: "hangs" });
  await pass(1_950);
  expect(lease.holds).toBe(true);
  await pass(50);
  expect(lease.holds).toBe(false);
  await pass(2_000);
  expect(states).toMatchObject([{ kind: "lost", isRequired: true }]);
  set("a", { mode: "confirms" });
  await pass(2_500);
  expect(lease.holds).toBe(true);
  expect(states.map(({ kind }) => kind)).toEqual(["lost", "renewed"]);
});

test("needs no lease without synchronous standbys; a renewal that hangs shows whether there are some by now", async () => {
  const { presence, lease, states, set, pass } = presenceOn({ a: { ...usual, isSynchronous: false } });
  await presence.start();
  set("a", { mode: "is down" });
  await pass(10_000);
  expect(lease.holds).toBe(true);
  expect(states).toMatchObject([{ kind: "lost", isRequired: false }]);
  set("a", { mode: "hangs", isSynchronous: true });
  await pass(200);
  expect(lease.holds).toBe(false);
});

test("leaves a primary that confirms nothing for the one on a newer timeline", async () => {
  const { presence, guard, lease, primaries, set, pass } = presenceOn({
    a: usual,
    b: { ...usual, mode: "is down" },
  });
  await presence.start();
  set("a", { mode: "hangs" });
  set("b", { mode: "confirms", timeline: 2 });
  await pass(3_000);
  expect(primaries).toEqual(["a", "b"]);
  expect(guard.newest).toBe(2);
  expect(lease.holds).toBe(true);
});

test("skips a server on an older timeline, and reports it only if no other is there", async () => {
  const { presence, states, guard, primaries, set, pass } = presenceOn({
    a: usual,
    b: { ...usual, timeline: 2 },
  });
  await presence.start();
  guard.admit(2);
  await pass(5_000);
  expect(primaries).toEqual(["a", "b"]);
  expect(states).toEqual([]);
  set("b", { mode: "is down" });
  await pass(3_000);
  expect(states.map(({ kind }) => kind)).toEqual(["refused"]);
  expect(() => guard.admit(1)).toThrow("timeline");
});

test("reports a server on an older timeline once, and follows it after a recovery", async () => {
  const { presence, states, guard, lease, set, pass } = presenceOn({ a: { ...usual, timeline: 4 } });
  await presence.start();
  set("a", { timeline: 3 });
  await pass(60_000);
  expect(states).toMatchObject([{ kind: "refused", error: { found: 3, newest: 4 } }]);
  expect(lease.holds).toBe(false);
  set("a", { recoveryId: "r" });
  await pass(1_000);
  expect(states.map(({ kind }) => kind)).toEqual(["refused", "renewed"]);
  expect(guard.admit(3)).toBe("use");
});

test("a start fails with the reason if the row cannot be written", async () => {
  const { presence, set } = presenceOn({ a: usual });
  set("a", { mode: "denies" });
  await expect(presence.start()).rejects.toThrow("permission denied for table replicas");
});

test("deletes its row when it is closed", async () => {
  const { presence, removed } = presenceOn({ a: usual });
  await presence.start();
  await presence.close();
  expect(removed).toEqual(["a"]);
});
