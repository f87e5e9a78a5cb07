import { once } from "node:events";
import { decodeProtectedHeader } from "jose";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { RevocationCause, RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import type { WatchRevocationsResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { type Login, newLogin, reasonOf, revokedLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { positionAt } from "../../support/fixtures/positions.ts";
import { recoverAt } from "../../support/fixtures/recovering.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

const gap = 2 ** 40;

/** The service until the backup: two active sessions, and one that is revoked at revision 1. */
const first = await runningService();
const { databaseUrl, projectId, secret } = first;
const active = await newLogin(first, { requestId: "one-login" });
const undone = await newLogin(first);
const revoked = await revokedLogin(first);
const cleared = await newLogin(first);
await first.stop();

/** Four copies of the database: what a backup restores. */
const [restored, kept, live, rekeyed] = await Promise.all([copy(), copy(), copy(), copy()]);

/** The service after the backup: a revocation and a session that the backup lacks. */
const second = await runningService({ databaseUrl });
await sessionsOf(second).revoke({ target: { case: "id", value: undone.id } });
const lost = await newLogin(second);
await second.stop();

const recovery = await recoverAt(restored);
const service = await runningService({ databaseUrl: restored });
const { sessions, projects } = { sessions: sessionsOf(service), projects: projectsOf(service) };

async function copy(): Promise<string> {
  const { url, drop } = await createTestDatabase(new URL(databaseUrl).pathname.slice(1));
  afterAll(drop);
  return url;
}

async function verifierOf({ url }: RunningService) {
  const verifier = createVerifier({ baseUrl: url, credential: { projectId, secret } });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  return verifier;
}

/** The first message of a watch, or the reason of its failure. */
async function firstMessage(of: RunningService, after?: string): Promise<WatchRevocationsResponse | string> {
  const end = new AbortController();
  const start =
    after === undefined ? { case: "snapshot" as const, value: {} } : { case: "after" as const, value: after };
  try {
    for await (const message of sessionsOf(of).watchRevocations({ start }, { signal: end.signal })) {
      return message;
    }
    return "the stream ended";
  } catch (error) {
    return reasonOf(error);
  } finally {
    end.abort();
  }
}

/** What the service answers to the JWT of a session. */
async function jwtVerdictOn(of: RunningService, { jwt }: Login): Promise<string> {
  const call = sessionsOf(of).authenticate({ credential: { case: "jwt", value: jwt } });
  return call.then(() => "active", reasonOf);
}

test("no session and no JWT from before is accepted, by the service or a verifier", async () => {
  const verifier = await verifierOf(service);
  const verdicts = async (login: Login) => [
    await verdictOn(service, login),
    await jwtVerdictOn(service, login),
    (await verifier.verify(login.jwt)).ok,
  ];
  for (const login of [active, undone]) {
    expect(await verdicts(login)).toEqual(["SESSION_REVOKED_BY_CUTOFF", "SESSION_UNKNOWN", false]);
  }
  expect(await verdicts(revoked)).toEqual(["SESSION_REVOKED", "SESSION_UNKNOWN", false]);
  expect(await verdicts(lost)).toEqual(["SESSION_UNKNOWN", "SESSION_UNKNOWN", false]);
});

test("new logins work, with a new signing key, and a repeated one gets a new session", async () => {
  const verifier = await verifierOf(service);
  const login = await newLogin(service, { requestId: "one-login", memberId: active.memberId });
  expect(login.id).not.toBe(active.id);
  expect([await verdictOn(service, login), await jwtVerdictOn(service, login)]).toEqual(["active", "active"]);
  expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true, claims: { sessionId: login.id } });
  const { keys } = await projects.getJwks({ projectId });
  expect(keys.map(({ kid }) => kid)).toEqual([decodeProtectedHeader(login.jwt).kid]);
});

test("the log has the revocations from before, and says what the recovery did", async () => {
  const { revocations } = await sessions.listRevocations({});
  const oldest = revocations.at(-1);
  expect(oldest).toMatchObject({ revision: 1n, targetId: revoked.id });
  const scopes = revocations.slice(0, -1).map(({ scope }) => scope);
  expect(scopes).toEqual([RevocationScope.SIGNING_KEY, RevocationScope.PROJECT]);
  const { revocations: byOperator } = await sessions.listRevocations({ actor: "operator" });
  expect(byOperator).toEqual(revocations.slice(0, -1));
  expect(byOperator[1]).toMatchObject({
    revision: BigInt(gap + 2),
    cause: RevocationCause.ADMINISTRATION,
    reason: "recovered from a backup",
  });
  const ofMember = await sessions.listRevocations({ memberId: active.memberId });
  expect(ofMember.revocations).toEqual([byOperator[1]]);
  const { session } = await sessions.get({ id: active.id });
  expect(session).toMatchObject({ revokeReason: "recovered from a backup", revokeActor: "operator" });
});

test("later revocations go on from there", async () => {
  const login = await newLogin(service);
  const { revision } = await sessions.revoke({ target: { case: "id", value: login.id } });
  expect(revision).toBeGreaterThan(BigInt(gap + 3));
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  const verifier = await verifierOf(service);
  expect(await verifier.verify(login.jwt)).toMatchObject({ ok: false, scope: "session" });
});

test("watchers from before are told of the new history, those too that the backup knows", async () => {
  const ofBackup = await positionAt({ databaseUrl, projectId }, 1);
  const ofLost = await positionAt({ databaseUrl, projectId }, 2);
  for (const position of [ofBackup, ofLost]) {
    expect(await firstMessage(service, position)).toBe("HISTORY_CHANGED");
  }
  const message = await firstMessage(service);
  const scopes = typeof message === "object" ? message.revocations.map(({ scope }) => scope) : [];
  expect(scopes.slice(0, 2)).toEqual([RevocationScope.PROJECT, RevocationScope.SIGNING_KEY]);
  expect(message).toMatchObject({ recoveryIds: [recovery?.id] });
});

const keeping = await recoverAt(kept, { keepSessions: true }).then(() =>
  runningService({ databaseUrl: kept }),
);

test("--keep-sessions keeps the sessions of the backup, but no JWT from before", async () => {
  const verifier = await verifierOf(keeping);
  for (const login of [active, undone]) {
    expect(await verdictOn(keeping, login)).toBe("active");
    expect(await jwtVerdictOn(keeping, login)).toBe("SESSION_UNKNOWN");
    expect((await verifier.verify(login.jwt)).ok).toBe(false);
    const credential = { case: "token", value: login.token } as const;
    const { jwt } = await sessionsOf(keeping).authenticate({ credential, issueJwt: true });
    expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  }
  expect(await verdictOn(keeping, revoked)).toBe("SESSION_REVOKED");
  expect(await verdictOn(keeping, lost)).toBe("SESSION_UNKNOWN");
});

const serving = await runningService({ databaseUrl: live });

test("with --force, a service that runs refuses what was recovered at once, and goes on", async () => {
  expect([await verdictOn(serving, cleared), await jwtVerdictOn(serving, cleared)]).toEqual([
    "active",
    "active",
  ]);
  await expect(recoverAt(live)).rejects.toThrow(`:${process.pid}, which`);
  const verifier = await verifierOf(serving);
  expect((await verifier.verify(cleared.jwt)).ok).toBe(true);
  const recovered = once(verifier.events, "historyRecovered");
  await recoverAt(live, { force: true });
  expect(await verdictOn(serving, cleared)).toBe("SESSION_REVOKED_BY_CUTOFF");
  expect(await jwtVerdictOn(serving, cleared)).not.toBe("active");
  const login = await newLogin(serving);
  expect([await verdictOn(serving, login), await jwtVerdictOn(serving, login)]).toEqual(["active", "active"]);
  await recovered;
  expect(await verifier.verify(cleared.jwt)).toMatchObject({ ok: false });
  expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true });
  await sessionsOf(serving).revoke({ target: { case: "id", value: login.id } });
  expect(await verdictOn(serving, login)).toBe("SESSION_REVOKED");
});

const newMasterKey = Buffer.alloc(32, "another master key");
await recoverAt(rekeyed, { masterKey: newMasterKey });
const withNewKey = await runningService({
  databaseUrl: rekeyed,
  environment: { SESSIOND_MASTER_KEY: newMasterKey.toString("base64") },
});

test("a lost master key of the backup is not needed any more", async () => {
  expect(await verdictOn(withNewKey, active)).toBe("SESSION_REVOKED_BY_CUTOFF");
  const login = await newLogin(withNewKey);
  expect(await jwtVerdictOn(withNewKey, login)).toBe("active");
});
