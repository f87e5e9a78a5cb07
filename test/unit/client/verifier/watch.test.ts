import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";
import type { VerifierEventMap } from "../../../../src/client/verifier/events.ts";
import type { Verifier } from "../../../../src/client/verifier/verifier.ts";
import { patience } from "../../../support/patience.ts";
import {
  type ScriptedService,
  goodClaims,
  newKey,
  readyVerifier,
  scriptedService,
  signed,
  upToDate,
  upToDateAt,
  verifierOf,
} from "./scripted-service.ts";
import { aheadClock } from "./verifier-clock.ts";

const key = await newKey();

/** Records where each stream starts. */
function recordStarts(service: ScriptedService): unknown[] {
  const starts: unknown[] = [];
  const { watch } = service;
  service.watch = (request, context) => {
    starts.push(request.start.case === "after" ? request.start.value : request.start.case);
    return watch(request, context);
  };
  return starts;
}

async function next<Name extends keyof VerifierEventMap>(
  verifier: Verifier,
  name: Name,
): Promise<VerifierEventMap[Name][0]> {
  const [event] = await once(verifier.events, name);
  return event as VerifierEventMap[Name][0];
}

test("a stream that ends for any reason resumes where it ended", async () => {
  const service = await scriptedService();
  const endings = [
    undefined,
    new ConnectError("draining", Code.Unavailable),
    new ConnectError("too slow", Code.Aborted),
  ];
  let revision = 4;
  service.watch = async function* (_request, context) {
    yield upToDateAt(revision);
    if (endings.length === 0) return yield* upToDate(context, revision);
    const ending = endings.shift();
    revision++;
    yield upToDateAt(revision, { scope: RevocationScope.MEMBER, targetId: `m${revision}` });
    if (ending !== undefined) throw ending;
  };
  const starts = recordStarts(service);
  const verifier = verifierOf(service);
  const received: number[] = [];
  verifier.events.on("revocation", (revocation) => received.push(revocation.revision));
  await vi.waitUntil(() => starts.length === 4 && verifier.status().connected, patience);
  expect(starts).toEqual(["snapshot", "at 5", "at 6", "at 7"]);
  expect(received).toEqual([5, 6, 7]);
  expect(verifier.status()).toMatchObject({
    revision: 7,
    fresh: true,
    held: { cutoffs: 3 },
    lastError: undefined,
  });
});

test("a stream that is silent for three heartbeats is cut and resumed", async () => {
  const service = await scriptedService();
  const starts = recordStarts(service);
  const verifier = await readyVerifier(service, { heartbeat: 100, maxStaleness: 60_000 });
  const { error } = await next(verifier, "disconnected");
  expect(error.message).toBe("[unavailable] no message for 500 ms, not even a heartbeat");
  await next(verifier, "connected");
  expect(starts).toEqual(["snapshot", "at 0"]);
});

test("a log that no longer reaches back causes a snapshot, which takes nothing from what is known", async () => {
  const service = await scriptedService(key);
  const [sid, other] = [goodClaims().sid, goodClaims().sid];
  const [cut, whole] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let streams = 0;
  service.watch = async function* (_request, context) {
    switch (++streams) {
      case 1:
        yield upToDateAt(3, { targetId: sid });
        await cut.promise;
        return;
      case 2:
        throw new ConnectError("purged", Code.OutOfRange);
      default:
        yield { revocations: [], revision: 50n, upToDate: false, readOffset: {} };
        await whole.promise;
        yield* upToDate(context, 51, { targetId: other });
    }
  };
  const starts = recordStarts(service);
  const verifier = await readyVerifier(service);
  const jwt = await signed(key, { sid });
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "revoked", revision: 3 });
  const reconnected = next(verifier, "attemptFailed").then(() => next(verifier, "connected"));
  cut.resolve();
  await reconnected;
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "revoked", revision: 3 });
  const resynchronised = next(verifier, "resynchronised");
  whole.resolve();
  expect(await resynchronised).toEqual({ revision: 51 });
  expect(starts).toEqual(["snapshot", "at 3", "snapshot"]);
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "revoked", revision: 3 });
  const jwtOfOther = await signed(key, { sid: other });
  expect(await verifier.verify(jwtOfOther)).toMatchObject({ reason: "revoked", revision: 51 });
});

test("a gap in the log causes a snapshot", async () => {
  const service = await scriptedService();
  let streams = 0;
  service.watch = async function* (_request, context) {
    if (++streams > 1) return yield* upToDate(context, 9);
    yield upToDateAt(4);
    yield upToDateAt(6);
  };
  const starts = recordStarts(service);
  const verifier = verifierOf(service);
  const { error } = await next(verifier, "disconnected");
  expect(error.message).toBe(
    "the stream is at revision 4; the next message has 0 revocations up to revision 6, which leaves a gap",
  );
  expect(await next(verifier, "resynchronised")).toEqual({ revision: 9 });
  expect(starts).toEqual(["snapshot", "snapshot"]);
});

test("a revocation of an unknown scope makes the verifier stale", async () => {
  const service = await scriptedService(key);
  const target = { scope: 99 as RevocationScope, targetId: "x" };
  service.watch = (_request, context) => upToDate(context, 5, target);
  const verifier = verifierOf(service, { onStale: "accept" });
  const { error } = await next(verifier, "disconnected");
  expect(error.message).toBe(
    "revision 5 has the scope 99, which this version of the verifier does not know: upgrade it",
  );
  expect(await verifier.verify(await signed(key))).toMatchObject({ reason: "stale" });
});

test("a revocation of an unknown scope makes a fresh verifier stale at once, until a snapshot lacks it", async () => {
  const service = await scriptedService(key);
  const [revoke, forget] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let streams = 0;
  service.watch = async function* (_request, context) {
    if (++streams === 1) {
      yield upToDateAt(4);
      await revoke.promise;
      yield upToDateAt(5, { scope: 99 as RevocationScope, targetId: "x" });
    }
    await forget.promise;
    yield* upToDate(context, 6);
  };
  const starts = recordStarts(service);
  const verifier = await readyVerifier(service, { maxStaleness: 3_600_000 });
  const stale = next(verifier, "stale");
  revoke.resolve();
  expect(await stale).toEqual({ staleness: Infinity });
  const fresh = next(verifier, "fresh");
  forget.resolve();
  expect(await fresh).toEqual({ revision: 6 });
  expect(starts).toEqual(["snapshot", "snapshot"]);
});

test("a stream from before a suspension of the machine is replaced", async () => {
  const service = await scriptedService();
  const resume = Promise.withResolvers<void>();
  let streams = 0;
  service.watch = async function* (_request, context) {
    yield upToDateAt(4);
    if (++streams === 1) await resume.promise;
    yield* upToDate(context, 4);
  };
  const clock = aheadClock();
  let suspendedMs = 0;
  const verifier = await readyVerifier(service, {
    clock: { ...clock, wall: () => clock.wall() + suspendedMs },
  });
  suspendedMs = 3_600_000;
  const stale = next(verifier, "stale");
  expect(verifier.status().fresh).toBe(false);
  expect((await stale).staleness).toBeGreaterThanOrEqual(3_600_000);
  const fresh = next(verifier, "fresh");
  resume.resolve();
  expect(await fresh).toEqual({ revision: 4 });
  expect(streams).toBe(2);
});

test.each([
  [Code.Unauthenticated, /wrong secret/],
  [Code.PermissionDenied, /sessions.read/],
  [Code.Unimplemented, /no such method/],
])(
  "ready() rejects for code %d, which a retry cannot mend, and the verifier tries again",
  async (code, message) => {
    const service = await scriptedService();
    const { watch } = service;
    service.watch = () => {
      throw new ConnectError("wrong secret, sessions.read, no such method", code);
    };
    const verifier = verifierOf(service);
    await expect(verifier.ready()).rejects.toThrow(message);
    await expect(verifier.ready()).rejects.toThrow(message);
    expect(verifier.status()).toMatchObject({ connected: false, lastError: { code } });
    service.watch = watch;
    await next(verifier, "fresh");
    await verifier.ready();
  },
);

test("a closed verifier rejects JWTs at once and leaves no timer", async () => {
  const service = await scriptedService(key);
  const timers = new Set<object>();
  const machine = aheadClock();
  const after = (ms: number, call: () => void) => {
    const timer = {};
    timers.add(timer);
    const cancel = machine.after(ms, () => (timers.delete(timer), call()));
    return () => (timers.delete(timer), cancel());
  };
  const verifier = verifierOf(service, { clock: { ...machine, after } });
  const unready = verifierOf(service);
  const waiting = unready.ready().catch(String);
  await unready.close();
  expect(await waiting).toBe("Error: the verifier is closed");
  await verifier.ready();
  const jwt = await signed(key);
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  await verifier.close();
  await verifier.close();
  expect(timers.size).toBe(0);
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "stale" });
  expect(verifier.status().connected).toBe(false);
});
