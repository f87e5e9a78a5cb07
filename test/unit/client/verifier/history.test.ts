import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { v7 } from "uuid";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { RevocationScope } from "../../../../gen/session/v1/revocation_pb.ts";
import type { VerifierOptions } from "../../../../src/client/verifier/verifier.ts";
import { patience } from "../../../support/patience.ts";
import { type ScriptedLog, errorWith, streamLog } from "./scripted-log.ts";
import {
  type ScriptedService,
  newKey,
  readyVerifier,
  scriptedService,
  signed,
  verifierOf,
} from "./scripted-service.ts";
import { aheadClock } from "./verifier-clock.ts";

const { SESSION, MEMBER, SIGNING_KEY, PROJECT } = RevocationScope;
const minute = 60_000;
const key = await newKey();
const lostKey = await newKey();
/** Of another member than the JWTs of tests, so that it only counts. */
const other = { scope: MEMBER, targetId: "somebody" };
const revoked = v7({ msecs: Date.now() - minute });
const restored: ScriptedLog = { history: "restored", entries: [other] };
const recovered: ScriptedLog = {
  history: "recovered",
  from: 2 ** 40,
  entries: [{ scope: PROJECT, targetId: "scripted" }],
  recoveryIds: ["r1"],
};

let service: ScriptedService;
let asked: string[];

beforeEach(async () => {
  service = await scriptedService(key, lostKey);
  asked = [];
  service.authenticate = ({ credential }) => (asked.push(String(credential.value)), {});
});

/** A JWT of a session that was created so long ago. */
function jwtOf(ageMs: number, claims: Readonly<Record<string, unknown>> = {}, signer = key): Promise<string> {
  return signed(signer, { sid: v7({ msecs: Date.now() - ageMs }), ...claims });
}

/** A verifier that knows the log `lost` when the log becomes `next`. Returns when it follows that. */
async function verifierAcross(
  lost: ScriptedLog["entries"],
  next: ScriptedLog,
  options: Partial<VerifierOptions> = {},
) {
  const log = streamLog(service, { history: "lost", entries: lost });
  const verifier = await readyVerifier(service, options);
  const changes = record(verifier, "historyChanged");
  const recoveries = record(verifier, "historyRecovered");
  const follow = async (followed: ScriptedLog) => {
    const snapshots = () => log.starts.filter((start) => start === "snapshot").length;
    const before = snapshots();
    log.replace(followed);
    await vi.waitUntil(() => snapshots() > before && verifier.status().fresh, patience);
    const head = (followed.from ?? 0) + followed.entries.length;
    expect(verifier.status()).toMatchObject({ connected: true, revision: head });
  };
  await follow(next);
  return { verifier, changes, recoveries, follow, starts: log.starts };
}

function record(
  verifier: ReturnType<typeof verifierOf>,
  name: "historyChanged" | "historyRecovered",
): unknown[] {
  const events: unknown[] = [];
  verifier.events.on(name, (event: unknown) => events.push(event));
  return events;
}

const session = { scope: SESSION, targetId: revoked };
const lostLogs: [string, ScriptedLog["entries"], ScriptedLog][] = [
  ["went back", [other, other, session], restored],
  ["went back to nothing", [session], { history: "restored", entries: [] }],
  ["is as long", [session], restored],
  ["has overtaken", [session], { history: "restored", entries: [other, other, other] }],
];

describe.each(lostLogs)("when the log %s", (_, lost, next) => {
  test("revoked sessions stay refused, the server is asked for others, and the event names the change", async () => {
    const { verifier, changes, recoveries, starts } = await verifierAcross(lost, next);
    const refused = { reason: "revoked", scope: "session", revision: lost.length };
    expect(await verifier.verify(await jwtOf(0, { sid: revoked }))).toMatchObject(refused);
    expect(asked).toEqual([]);
    const jwt = await jwtOf(minute);
    expect(await verifier.verify(jwt)).toMatchObject({ ok: true, answeredBy: "server" });
    expect(asked).toEqual([jwt]);
    expect(verifier.status()).toMatchObject({ history: "changed", fresh: true, held: { sessions: 1 } });
    const error = expect.objectContaining({ code: Code.OutOfRange });
    expect(changes).toEqual([{ baseUrl: service.url, revision: lost.length, error }]);
    expect(recoveries).toEqual([]);
    expect(starts).toEqual(["snapshot", `lost@${lost.length}`, "snapshot"]);
  });
});

test("JWTs of a revoked key stay refused although the key is published again", async () => {
  const lost = [{ scope: SIGNING_KEY, targetId: lostKey.kid }];
  const { verifier } = await verifierAcross(lost, restored);
  expect(await verifier.verify(await jwtOf(0, {}, lostKey))).toMatchObject({
    reason: "revoked",
    scope: "signing_key",
  });
  expect(await verifier.verify(await jwtOf(0))).toMatchObject({ ok: true });
});

test("a cutoff is judged by time, because revisions of two histories say nothing about each other", async () => {
  const spared = v7({ msecs: Date.now() - 10 * minute });
  const lost = [
    other,
    { scope: MEMBER, targetId: "ada", exceptSessionId: spared, revokedAt: Date.now() - 5 * minute },
  ];
  const { verifier } = await verifierAcross(lost, restored);
  const verdictOf = async (ageMs: number, claims = {}) => verifier.verify(await jwtOf(ageMs, claims));
  // Created before the cutoff, with a revision that the other history gave.
  expect(await verdictOf(6 * minute, { rev: 1000 })).toMatchObject({ reason: "revoked", scope: "member" });
  expect(await verdictOf(4 * minute, { rev: 0 })).toMatchObject({ ok: true });
  expect(await verdictOf(0, { sid: spared })).toMatchObject({ ok: true });
  expect(await verdictOf(6 * minute, { sub: "bob" })).toMatchObject({ ok: true });
});

test("nothing of an earlier history is forgotten, however long recovery takes", async () => {
  const machine = aheadClock();
  const forgetMs = 1000;
  const clock = {
    ...machine,
    after: (ms: number, call: () => void) => machine.after(ms === forgetMs ? 1 : ms, call),
  };
  const again = { history: "restored", entries: [session] };
  const { verifier } = await verifierAcross([session], again, { clock });
  expect(verifier.status().held.sessions).toBe(2);
  machine.advance(24 * 60 * minute);
  // The followed log forgets it.
  await vi.waitUntil(() => verifier.status().held.sessions === 1, patience);
  const later = Math.floor(clock.wall() / 1000);
  const jwt = await jwtOf(0, { sid: revoked, iat: later, nbf: later, exp: later + 300 });
  expect(await verifier.verify(jwt)).toMatchObject({ reason: "revoked", revision: 1 });
});

describe("until recovery", () => {
  test("refuse: nothing is accepted", async () => {
    const { verifier } = await verifierAcross([session], restored, {
      onHistoryChanged: "refuse",
      onStale: "accept",
    });
    expect(await verifier.verify(await jwtOf(0))).toEqual({ ok: false, reason: "history_changed" });
    expect(await verifier.verify(await jwtOf(0, { sid: revoked }))).toMatchObject({ reason: "revoked" });
    expect(asked).toEqual([]);
  });

  test.each(["ask", "refuse", "accept"] as const)(
    "ask: nothing is accepted without an answer of the server; onStale: %s",
    async (onStale) => {
      const { verifier } = await verifierAcross([session], restored, { onStale });
      service.authenticate = () => {
        throw new ConnectError("gone", Code.Unavailable);
      };
      expect(await verifier.verify(await jwtOf(0))).toEqual({ ok: false, reason: "history_changed" });
      service.authenticate = () => {
        throw errorWith(Code.Unauthenticated, "SESSION_UNKNOWN");
      };
      expect(await verifier.verify(await jwtOf(0))).toMatchObject({ reason: "invalid", what: "session" });
    },
  );

  test("nothing is fresh before the snapshot of the new log is complete, and what is held stays refused", async () => {
    const log = streamLog(service, { history: "lost", entries: [session] });
    const verifier = await readyVerifier(service, { onHistoryChanged: "refuse", onStale: "accept" });
    const events = Promise.all([once(verifier.events, "historyChanged"), once(verifier.events, "stale")]);
    const opening = Promise.withResolvers<void>();
    log.replace({ ...restored, opening: opening.promise });
    await events;
    const gap = { history: "changed", fresh: false, staleness: Infinity, revision: undefined };
    expect(verifier.status()).toMatchObject(gap);
    expect(await verifier.verify(await jwtOf(0))).toEqual({ ok: false, reason: "history_changed" });
    expect(await verifier.verify(await jwtOf(0, { sid: revoked }))).toMatchObject({ reason: "revoked" });
    opening.resolve();
    await once(verifier.events, "fresh");
    expect(verifier.status()).toMatchObject({ history: "changed", fresh: true, revision: 1 });
  });

  test("several changes add up", async () => {
    const second = { scope: SESSION, targetId: v7() };
    const { verifier, changes, follow } = await verifierAcross([session], {
      ...restored,
      entries: [other, second],
    });
    await follow({ history: "restored again", entries: [other] });
    expect(changes).toMatchObject([{ revision: 1 }, { revision: 2 }]);
    for (const sid of [revoked, second.targetId]) {
      expect(await verifier.verify(await jwtOf(0, { sid }))).toMatchObject({ reason: "revoked" });
    }
    expect(verifier.status()).toMatchObject({ history: "changed", held: { sessions: 2 } });
  });

  test("a recovery that was known before the change does not end it", async () => {
    const { verifier, recoveries, follow } = await verifierAcross([session], recovered);
    expect(verifier.status().history).toBe("current");
    await follow({ ...restored, recoveryIds: ["r1"] });
    expect(verifier.status().history).toBe("changed");
    await follow({ ...recovered, history: "recovered again", recoveryIds: ["r2", "r1"] });
    expect(verifier.status().history).toBe("current");
    expect(recoveries).toHaveLength(2);
  });
});

describe("after recovery", () => {
  test.each([
    ["at once", []],
    ["later", [restored]],
  ])("the verifier decides locally again, and drops what the recovery revokes: %s", async (_, before) => {
    const [first, ...then] = [...before, recovered];
    const { verifier, recoveries, follow } = await verifierAcross([session], first);
    for (const next of then) await follow(next);
    const status = {
      history: "current",
      fresh: true,
      revision: 2 ** 40 + 1,
      held: { sessions: 0, cutoffs: 1 },
    };
    expect(verifier.status()).toMatchObject(status);
    expect(recoveries).toEqual([{ baseUrl: service.url, revision: 2 ** 40 + 1 }]);
    const created = await jwtOf(0, { rev: 2 ** 40 + 1 });
    expect(await verifier.verify(created)).toMatchObject({ ok: true, answeredBy: "verifier" });
    for (const claims of [{ sid: revoked }, {}]) {
      const rejection = { reason: "revoked", scope: "project", revision: 2 ** 40 + 1 };
      expect(await verifier.verify(await jwtOf(minute, { rev: 3, ...claims }))).toMatchObject(rejection);
    }
    expect(asked).toEqual([]);
  });

  test("a snapshot that breaks off does not count as the recovery", async () => {
    const log = streamLog(service, { history: "lost", entries: [session] });
    const verifier = await readyVerifier(service);
    const { watch } = service;
    let snapshots = 0;
    service.watch = async function* (request, context) {
      if (request.start.case === "snapshot" && ++snapshots === 1) {
        yield {
          revision: BigInt(2 ** 40),
          upToDate: false,
          readOffset: {},
          position: "?",
          recoveryIds: ["r1"],
        };
        throw new ConnectError("gone", Code.Unavailable);
      }
      yield* watch(request, context);
    };
    const interrupted = once(verifier.events, "attemptFailed").then(() =>
      once(verifier.events, "disconnected"),
    );
    const recovery = once(verifier.events, "historyRecovered");
    log.replace(recovered);
    await interrupted;
    expect(verifier.status().history).toBe("changed");
    await recovery;
    expect(verifier.status()).toMatchObject({ history: "current", revision: 2 ** 40 + 1 });
  });
});

test("a verifier that was away while the history changed ends in the same state", async () => {
  const log = streamLog(service, { history: "lost", entries: [session] });
  const verifier = await readyVerifier(service);
  const { watch } = service;
  service.watch = () => {
    throw new ConnectError("away", Code.Unavailable);
  };
  const away = once(verifier.events, "attemptFailed");
  log.replace({ history: "restored", entries: [other, other, other] });
  await away;
  const fresh = once(verifier.events, "historyChanged").then(() => once(verifier.events, "fresh"));
  service.watch = watch;
  await fresh;
  expect(verifier.status()).toMatchObject({ history: "changed", revision: 3 });
  expect(await verifier.verify(await jwtOf(0, { sid: revoked }))).toMatchObject({ reason: "revoked" });
});

test("a verifier that knows nothing of the time before follows the log as it finds it", async () => {
  streamLog(service, recovered);
  const verifier = await readyVerifier(service);
  expect(verifier.status().history).toBe("current");
  const jwt = await jwtOf(0, { rev: 2 ** 40 + 1 });
  expect(await verifier.verify(jwt)).toMatchObject({ answeredBy: "verifier" });
});

test("warns if nothing listens to the change", async () => {
  const warnings: string[] = [];
  const listener = ({ message }: Error) => void warnings.push(message);
  process.on("warning", listener);
  onTestFinished(() => void process.off("warning", listener));
  const log = streamLog(service, { history: "lost", entries: [session] });
  const verifier = verifierOf(service);
  await verifier.ready();
  log.replace(restored);
  const text = expect.stringMatching(
    /not the one that this verifier followed up to revision 1: .*sessiond recover/s,
  );
  await vi.waitFor(() => expect(warnings).toContainEqual(text), patience);
});
