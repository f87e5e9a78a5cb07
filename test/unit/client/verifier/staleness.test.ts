import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { ErrorInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { patience } from "../../../support/patience.ts";
import {
  type ScriptedService,
  goodClaims,
  newKey,
  readyVerifier,
  scriptedService,
  signed,
  silence,
  upToDate,
  upToDateAt,
  verifierOf,
} from "./scripted-service.ts";
import { errorWith } from "./scripted-log.ts";
import { aheadClock } from "./verifier-clock.ts";

const key = await newKey();
const jwt = await signed(key);
const dead = goodClaims().sid;
const revokedJwt = await signed(key, { sid: dead });

let service: ScriptedService;

beforeEach(async () => {
  service = await scriptedService(key);
  service.watch = (_request, context) => upToDate(context, 1, { targetId: dead });
});

function infoOf(reason: string, metadata: Record<string, string> = {}) {
  return { desc: ErrorInfoSchema, value: { reason, domain: "sessiond", metadata } };
}

/** A verifier whose revocations have just become too old. */
async function stale(onStale: "ask" | "refuse" | "accept") {
  const clock = aheadClock();
  const verifier = await readyVerifier(service, { clock, onStale, maxStaleness: 60_000, askTimeout: 300 });
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true, stale: false, answeredBy: "verifier" });
  clock.advance(60_000);
  return verifier;
}

test.each(["ask", "refuse", "accept"] as const)(
  "accepts nothing locally before the first snapshot: %s",
  async (onStale) => {
    service.watch = async function* (_request, context) {
      yield { revision: 9n, upToDate: false, readOffset: {} };
      await silence(context);
    };
    const verifier = verifierOf(service, { onStale, askTimeout: 300 });
    await once(verifier.events, "connected");
    expect(await verifier.verify(jwt)).toEqual({ ok: false, reason: "stale", staleness: Infinity });
    expect(verifier.status()).toMatchObject({ connected: true, fresh: false, staleness: Infinity });
  },
);

test.each(["ask", "refuse", "accept"] as const)(
  "rejects a session that is known to be revoked, however old this knowledge is: %s",
  async (onStale) => {
    const verifier = await stale(onStale);
    const rejection = { reason: "revoked", scope: "session", revision: 1 };
    expect(await verifier.verify(revokedJwt)).toMatchObject(rejection);
  },
);

test("refuse: rejects with the age of the known revocations", async () => {
  const verifier = await stale("refuse");
  const verdict = await verifier.verify(jwt);
  expect(verdict).toMatchObject({ ok: false, reason: "stale" });
  expect(verdict).toHaveProperty("staleness", expect.closeTo(60_000, -4));
});

test("accept: accepts, with a mark in the verdict and an event each time", async () => {
  const verifier = await stale("accept");
  const accepted: string[] = [];
  verifier.events.on("staleAccepted", ({ sessionId }) => accepted.push(sessionId));
  const verdict = await verifier.verify(jwt);
  expect(verdict).toMatchObject({ ok: true, stale: true, answeredBy: "verifier" });
  await verifier.verify(jwt);
  expect(accepted).toHaveLength(2);
});

describe("a project that is disabled", () => {
  const projectDisabled = () => {
    throw errorWith(Code.Unauthenticated, "PROJECT_DISABLED");
  };
  const rejection = { ok: false, reason: "revoked", scope: "project", revision: 1 };

  test.each(["ask", "refuse", "accept"] as const)(
    "ends every session as soon as the stream is refused: %s",
    async (onStale) => {
      const cut = Promise.withResolvers<void>();
      const { watch } = service;
      service.watch = async function* () {
        yield upToDateAt(1, { targetId: dead });
        await cut.promise;
      };
      const verifier = await readyVerifier(service, { onStale });
      expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
      const refused = once(verifier.events, "credentialRefused");
      service.watch = projectDisabled;
      cut.resolve();
      await refused;
      expect(await verifier.verify(jwt)).toEqual(rejection);
      const fresh = once(verifier.events, "connected");
      service.watch = watch;
      await fresh;
      await vi.waitFor(async () => expect(await verifier.verify(jwt)).toMatchObject({ ok: true }), patience);
    },
  );

  test("ends every session if Authenticate is refused, also while an older stream continues", async () => {
    const heartbeat = Promise.withResolvers<void>();
    service.watch = async function* (_request, context) {
      yield upToDateAt(1, { targetId: dead });
      await heartbeat.promise;
      yield { ...upToDateAt(1), readOffset: { seconds: 60n } };
      await silence(context);
    };
    const verifier = await stale("ask");
    verifier.events.on("credentialRefused", () => undefined);
    service.authenticate = projectDisabled;
    expect(await verifier.verify(jwt)).toEqual(rejection);
    const fresh = once(verifier.events, "fresh");
    heartbeat.resolve();
    await fresh;
    expect(await verifier.verify(jwt)).toEqual(rejection);
  });

  test("ends every session before a key was fetched", async () => {
    service.watch = projectDisabled;
    service.jwks.answer = (response) => response.writeHead(404).end();
    const verifier = verifierOf(service, { onStale: "accept" });
    await once(verifier.events, "credentialRefused");
    expect(await verifier.verify(jwt)).toEqual({ ...rejection, revision: 0 });
    expect(await verifier.verify("x")).toMatchObject({ reason: "invalid" });
  });
});

describe("ask", () => {
  test("accepts what the server accepts, and asks on every call", async () => {
    const asked: unknown[] = [];
    service.authenticate = ({ credential }) => (asked.push(credential.value), {});
    const verifier = await stale("ask");
    for (let i = 0; i < 3; i++) {
      expect(await verifier.verify(jwt)).toMatchObject({ ok: true, stale: false, answeredBy: "server" });
    }
    expect(asked).toEqual([jwt, jwt, jwt]);
  });

  const revoked = (scope: string) => ({ reason: "revoked", scope, revision: 7 });
  const rejections: readonly (readonly [string, Record<string, string>, object])[] = [
    ["SESSION_REVOKED", { scope: "session", revision: "7" }, revoked("session")],
    ["SESSION_REVOKED_BY_CUTOFF", { scope: "project", revision: "7" }, revoked("project")],
    ["JWT_EXPIRED", {}, { reason: "expired" }],
    ["SESSION_EXPIRED", {}, { reason: "expired" }],
    ["SESSION_IDLE_EXPIRED", {}, { reason: "expired" }],
    ["SESSION_UNKNOWN", {}, { reason: "invalid", what: "session" }],
    ["SESSION_UNKNOWN", { problem: "key" }, { reason: "invalid", what: "key" }],
    ["SESSION_IN_A_NEW_STATE", {}, { reason: "invalid", what: "session" }],
  ];
  test.each(rejections)("rejects what the server rejects: %s", async (reason, metadata, rejection) => {
    service.authenticate = () => {
      throw new ConnectError("no", Code.Unauthenticated, undefined, [infoOf(reason, metadata)]);
    };
    expect(await (await stale("ask")).verify(jwt)).toEqual({ ok: false, ...rejection });
  });

  test("rejects as stale if the server does not answer in time", async () => {
    service.authenticate = async (_request, context) => {
      await silence(context);
      return {};
    };
    const verifier = await stale("ask");
    const verdicts = await Promise.all([verifier.verify(jwt), verifier.verify(jwt)]);
    expect(verdicts).toMatchObject([{ reason: "stale" }, { reason: "stale" }]);
    service.authenticate = () => ({});
    const verdict = { ok: true, answeredBy: "server" };
    await vi.waitFor(async () => expect(await verifier.verify(jwt)).toMatchObject(verdict), patience);
  });

  test.each([
    ["is refused", Code.Unauthenticated, "CREDENTIAL_INVALID"],
    ["is missing", Code.Unauthenticated, "CREDENTIAL_MISSING"],
    ["lacks the permission", Code.PermissionDenied, "PERMISSION_MISSING"],
    ["is refused by a proxy, without a reason", Code.Unauthenticated, undefined],
  ])("rejects as misconfigured if the verifier's own credential %s", async (_, code, reason) => {
    let isRefused = true;
    service.authenticate = () => {
      const details = reason === undefined ? [] : [infoOf(reason)];
      if (isRefused) throw new ConnectError("no", code, undefined, details);
      return {};
    };
    const verifier = await stale("ask");
    const refusals: unknown[] = [];
    verifier.events.on("credentialRefused", (refusal) => refusals.push(refusal));
    const misconfigured = { ok: false, reason: "misconfigured" };
    expect(await verifier.verify(jwt)).toEqual(misconfigured);
    expect(await verifier.verify(jwt)).toEqual(misconfigured);
    const refusal = { call: "Authenticate", baseUrl: service.url, error: expect.objectContaining({ code }) };
    expect(refusals).toEqual([refusal]);
    isRefused = false;
    expect(await verifier.verify(jwt)).toMatchObject({ ok: true, answeredBy: "server" });
    isRefused = true;
    expect(await verifier.verify(jwt)).toEqual(misconfigured);
    expect(refusals).toEqual([refusal, refusal]);
  });

  test("warns if nothing listens to the refusal of the verifier's own credential", async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error) => void warnings.push(warning);
    process.on("warning", listener);
    onTestFinished(() => void process.off("warning", listener));
    service.authenticate = () => Promise.reject(new ConnectError("replaced", Code.Unauthenticated));
    await (await stale("ask")).verify(jwt);
    const text = expect.stringMatching(/^Authenticate at .* refuses .*replaced/);
    const texts = () => warnings.map(({ message }) => message);
    await vi.waitFor(() => expect(texts()).toContainEqual(text), patience);
  });
});
