import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Verdict, type VerifierOptions, createVerifier } from "../../../src/client/verifier/verifier.ts";
import { type Login, newLogin } from "../../support/fixtures/logins.ts";
import { recoverAt } from "../../support/fixtures/recovering.ts";
import {
  type RunningService,
  runningService,
  testMasterKey,
} from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { backUp, restore } from "../../support/postgres/restore.ts";
import { startChild } from "../../support/process/child.ts";
import type { VerifierMessage, VerifierVerdict } from "../../resilience/chaos/processes/verifier-process.ts";

/** A verifier that a restore meets in one state. */
interface Met {
  verify(jwt: string): Promise<Verdict>;
  /** Before the restore. */
  leave(): void;
  /** After it. */
  comeBack(): void;
}

function optionsOf({ projectId, secret }: RunningService, baseUrl: string): VerifierOptions {
  return { baseUrl, credential: { projectId, secret }, askTimeout: 5000 };
}

async function connected(service: RunningService): Promise<Met> {
  const verifier = createVerifier(optionsOf(service, service.url));
  verifier.events.on("historyChanged", () => undefined);
  onTestFinished(() => verifier.close());
  await verifier.ready();
  return { verify: (jwt) => verifier.verify(jwt), leave: () => undefined, comeBack: () => undefined };
}

async function disconnected(service: RunningService): Promise<Met> {
  const relay = await startRelay(service.url);
  onTestFinished(() => relay.close());
  const met = await connected({ ...service, url: new URL(relay.url).origin });
  return { ...met, leave: () => relay.cut(), comeBack: () => relay.mend() };
}

async function frozen(service: RunningService): Promise<Met> {
  const file = "test/resilience/chaos/processes/verifier-process.ts";
  const child = startChild(file, [JSON.stringify(optionsOf(service, service.url))], {});
  onTestFinished(() => child.kill());
  await child.message();
  const waiting = new Map<number, (verdict: Verdict) => void>();
  child.process.on("message", (message: VerifierVerdict | { readonly kind: "event" | "received" }) => {
    if (message.kind === "verdict") waiting.get(message.id)?.(message.verdict);
  });
  let id = 0;
  const verify = (jwt: string) =>
    new Promise<Verdict>((resolve) => {
      waiting.set(++id, resolve);
      const message: VerifierMessage = { kind: "verify", id, jwt };
      child.process.send(message);
    });
  return { verify, leave: () => child.freeze(), comeBack: () => child.thaw() };
}

/** Calls until the database is back. */
function retried<T>(call: () => Promise<T>): Promise<T> {
  return vi.waitFor(call, patience);
}

/** Waits until the verifier answers so. */
function becomes(met: Met, { jwt }: Login, verdict: object): Promise<void> {
  return vi.waitFor(async () => expect(await met.verify(jwt)).toMatchObject(verdict), patience);
}

const byServer = { ok: true, answeredBy: "server" };
const byVerifier = { ok: true, answeredBy: "verifier" };

describe.each([["plain"], ["overtaken"]])("a restore: %s", async (kind) => {
  const service = await runningService();

  test("takes nothing from verifiers that are connected, disconnected or frozen, and recovery ends it", async () => {
    const sessions = sessionsOf(service);
    const revoke = ({ id }: Login) => retried(() => sessions.revoke({ target: { case: "id", value: id } }));
    const login = (request = {}) => retried(() => newLogin(service, request));
    const verifiers = [await connected(service), await disconnected(service), await frozen(service)];
    const all = (act: (met: Met) => Promise<void>) => Promise.all(verifiers.map(act));

    const [kept, ended, member, later] = [await login(), await login(), await login(), await login()];
    await all((met) => becomes(met, kept, byVerifier));
    await backUp(service.databaseUrl);
    const unknown = await login();
    await revoke(ended);
    const scope = { case: "memberId", value: member.memberId } as const;
    await retried(() => sessions.revokeAll({ scope }));
    const revoked = [
      [ended, { ok: false, reason: "revoked", scope: "session" }],
      [member, { ok: false, reason: "revoked", scope: "member" }],
    ] as const;
    for (const [each, verdict] of revoked) await all((met) => becomes(met, each, verdict));

    for (const met of verifiers) met.leave();
    await restore(service.databaseUrl);
    // The lost log had two revocations.
    const count = kind === "overtaken" ? 4 : 1;
    await revoke(later);
    for (let i = 1; i < count; i++) await revoke(await login());
    for (const met of verifiers) met.comeBack();

    await all((met) => becomes(met, kept, byServer));
    await all((met) => becomes(met, later, { ok: false, reason: "revoked", scope: "session" }));
    await all((met) => becomes(met, unknown, { ok: false, reason: "invalid", what: "session" }));
    for (const [each, verdict] of revoked) {
      expect(await Promise.all(verifiers.map((met) => met.verify(each.jwt)))).toMatchObject(
        verifiers.map(() => verdict),
      );
    }
    // The server accepts the session, whose revocation its database has lost.
    expect(await sessions.authenticate({ credential: { case: "jwt", value: ended.jwt } })).toBeDefined();
    const created = await login();
    await all((met) => becomes(met, created, byServer));

    const masterKey = Buffer.from(testMasterKey, "base64");
    await recoverAt(service.databaseUrl, { force: true, masterKey });
    const fresh = await login();
    await all((met) => becomes(met, fresh, byVerifier));
    // The recovery has revoked the key that signed them.
    const rejection = { ok: false, reason: "invalid", what: "key" };
    for (const old of [kept, ended, member, unknown, created]) {
      await all(async (met) => expect(await met.verify(old.jwt)).toEqual(rejection));
    }
  });
});
