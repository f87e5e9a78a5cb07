import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { once } from "node:events";
import { decodeProtectedHeader } from "jose";
import pg from "pg";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  type Verifier,
  type VerifierOptions,
  createVerifier,
} from "../../../src/client/verifier/verifier.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

const service = await runningService();
const { projectId, secret, databaseUrl } = service;
/** Stopped by the test that changes replicas. */
const leaving = await runningService({ databaseUrl });
const sessions = sessionsOf(service);

async function verifierAt(
  baseUrl: string | readonly string[],
  options: Partial<VerifierOptions> = {},
): Promise<Verifier> {
  const verifier = createVerifier({ baseUrl, credential: { projectId, secret }, ...options });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  return verifier;
}

/** Waits until the verifier has applied `revision`. */
function applied(verifier: Verifier, revision: bigint): Promise<unknown> {
  return vi.waitUntil(() => (verifier.status().revision ?? 0) >= Number(revision), patience);
}

/** Two logins of one member. */
async function logins(organizationId: string) {
  const login = await newLogin(service, { organizationId });
  return { login, sibling: await newLogin(service, { organizationId, memberId: login.memberId }) };
}

describe("a verifier rejects the revoked sessions of", () => {
  test("a disabled project, at once and whatever its age", async () => {
    const id = "project-test-closing";
    const projects = projectsOf(service);
    await projects.createProject({ id });
    const permissions = [Permission.SESSIONS_CREATE, Permission.REVOCATIONS_WATCH];
    const { secret: own } = await projects.createServiceCredential({ projectId: id, permissions });
    const login = await newLogin({ ...service, basic: basicAuthorization(id, own) });
    const credential = { projectId: id, secret: own };
    const verifier = await verifierAt(service.url, { credential, onStale: "accept", maxStaleness: 300 });
    expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true });
    const revoked = once(verifier.events, "revocation");
    await projects.disableProject({ id, reason: "contract ended" });
    expect(await revoked).toMatchObject([{ scope: "project", targetId: id, revision: 1 }]);
    expect(await verifier.verify(login.jwt)).toMatchObject({
      ok: false,
      reason: "revoked",
      scope: "project",
    });
    await vi.waitUntil(() => !verifier.status().fresh, patience);
    expect(await verifier.verify(login.jwt)).toMatchObject({
      ok: false,
      reason: "revoked",
      scope: "project",
    });
  });

  test("a session", async () => {
    const verifier = await verifierAt(service.url);
    const { login, sibling } = await logins("acme");
    expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true, claims: { sessionId: login.id } });
    const event = once(verifier.events, "revocation");
    const { revision } = await sessions.revoke({ target: { case: "id", value: login.id } });
    expect(await event).toMatchObject([{ scope: "session", targetId: login.id, revision: Number(revision) }]);
    const rejection = { ok: false, reason: "revoked", scope: "session", revision: Number(revision) };
    expect(await verifier.verify(login.jwt)).toEqual(rejection);
    expect(await verifier.verify(sibling.jwt)).toMatchObject({ ok: true });
  });

  const scopes = {
    member: ({ memberId }: { memberId: string }) => ({ case: "memberId", value: memberId }) as const,
    organization: () => ({ case: "organizationId", value: "umbrella" }) as const,
    project: () => ({ case: "project", value: {} }) as const,
  };
  test.each(["member", "organization", "project"] as const)("a %s, except one session", async (name) => {
    const verifier = await verifierAt(service.url);
    const { login, sibling } = await logins("umbrella");
    expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true });
    const scope = scopes[name](login);
    const first = await sessions.revokeAll({ scope, exceptSessionId: sibling.id });
    await applied(verifier, first.revision ?? 0n);
    const rejection = { ok: false, reason: "revoked", scope: name, revision: Number(first.revision) };
    expect(await verifier.verify(login.jwt)).toEqual(rejection);
    expect(await verifier.verify(sibling.jwt)).toMatchObject({ ok: true });
    const later = await newLogin(service, { organizationId: "umbrella", memberId: login.memberId });
    expect(await verifier.verify(later.jwt)).toMatchObject({ ok: true });
    const second = await sessions.revokeAll({ scope });
    await applied(verifier, second.revision ?? 0n);
    expect(await verifier.verify(sibling.jwt)).toEqual({ ...rejection, revision: Number(second.revision) });
    expect(await verifier.verify(later.jwt)).toEqual({ ...rejection, revision: Number(second.revision) });
  });

  test("one made before the verifier started", async () => {
    const { login, sibling } = await logins("acme");
    await sessions.revoke({ target: { case: "id", value: login.id } });
    const verifier = await verifierAt(service.url);
    expect(await verifier.verify(login.jwt)).toMatchObject({ reason: "revoked", scope: "session" });
    expect(await verifier.verify(sibling.jwt)).toMatchObject({ ok: true });
  });
});

test("a change of the replica causes no missing and no repeated revocation", async () => {
  const verifier = await verifierAt([leaving.url, service.url]);
  const received: number[] = [];
  verifier.events.on("revocation", ({ revision }) => received.push(revision));
  const from = verifier.status().revision ?? 0;
  const resumed = once(verifier.events, "connected");
  const targets = await Promise.all(Array.from({ length: 20 }, () => newLogin(service)));
  const revoking = Promise.all(
    targets.map(({ id }) => sessions.revoke({ target: { case: "id", value: id } })),
  );
  await leaving.stop();
  const revisions = (await revoking).map(({ revision }) => Number(revision));
  expect((await resumed)[0]).toMatchObject({ baseUrl: service.url, resumedAfter: expect.any(Number) });
  const last = (await sessions.revoke({ target: { case: "memberId", value: "nobody" } })).revision;
  await applied(verifier, last);
  expect(received).toEqual(Array.from({ length: Number(last) - from }, (_, i) => from + i + 1));
  expect(received).toEqual(expect.arrayContaining(revisions));
  for (const { jwt } of targets) expect(await verifier.verify(jwt)).toMatchObject({ reason: "revoked" });
});

test("a verifier whose server freezes becomes stale, follows onStale, and recovers", async () => {
  const relay = await startRelay(service.url);
  onTestFinished(() => relay.close());
  const origin = new URL(relay.url).origin;
  const options = { maxStaleness: 900, heartbeat: 100, askTimeout: 200 };
  const verifiers = await Promise.all(
    (["ask", "refuse", "accept"] as const).map((onStale) => verifierAt(origin, { ...options, onStale })),
  );
  const { login, sibling } = await logins("acme");
  const verdicts = (jwt: string) => Promise.all(verifiers.map((verifier) => verifier.verify(jwt)));
  expect(await verdicts(login.jwt)).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
  const stale = Promise.all(verifiers.map((verifier) => once(verifier.events, "stale")));
  relay.fallSilent();
  const { revision } = await sessions.revoke({ target: { case: "id", value: login.id } });
  await stale;
  expect(await verdicts(login.jwt)).toMatchObject([
    { reason: "stale" },
    { reason: "stale" },
    { ok: true, stale: true },
  ]);
  const fresh = Promise.all(verifiers.map((verifier) => once(verifier.events, "fresh")));
  relay.cut();
  relay.mend();
  await fresh;
  for (const verifier of verifiers) {
    expect(verifier.status().revision).toBeGreaterThanOrEqual(Number(revision));
  }
  const rejection = { reason: "revoked", revision: Number(revision) };
  expect(await verdicts(login.jwt)).toMatchObject([rejection, rejection, rejection]);
  expect(await verdicts(sibling.jwt)).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
});

test("a verifier that was disconnected beyond the log's retention loads a snapshot and loses no revocation", async () => {
  const relay = await startRelay(service.url);
  onTestFinished(() => relay.close());
  const verifier = await verifierAt(new URL(relay.url).origin);
  const away = once(verifier.events, "disconnected");
  relay.cut();
  await away;
  const { login, sibling } = await logins("acme");
  await sessions.revoke({ target: { case: "memberId", value: "long ago" } });
  const purged = await sessions.revoke({ target: { case: "memberId", value: "long ago" } });
  const kept = await sessions.revoke({ target: { case: "id", value: login.id } });
  const client = new pg.Client(databaseUrl);
  await client.connect();
  // As the purge does, of revocations that no JWT can need; it leaves the row before the oldest retained one.
  await client.query(
    "update revocations set matter_until_time = now() - interval '1 day' where project_id = $1 and revision <= $2",
    [projectId, String(purged.revision)],
  );
  await client.query("delete from revocations where project_id = $1 and revision < $2", [
    projectId,
    String(purged.revision),
  ]);
  await client.end();
  const resynchronised = once(verifier.events, "resynchronised");
  relay.mend();
  expect(await resynchronised).toEqual([{ revision: Number(kept.revision) }]);
  expect(await verifier.verify(login.jwt)).toMatchObject({
    reason: "revoked",
    revision: Number(kept.revision),
  });
  expect(await verifier.verify(sibling.jwt)).toMatchObject({ ok: true });
});

test("with a credential that may only authenticate ready() rejects, and the server is asked for every JWT", async () => {
  const { secret } = await projectsOf(service).createServiceCredential({
    projectId,
    displayName: "authenticates only",
    permissions: [Permission.SESSIONS_AUTHENTICATE],
  });
  const verifier = createVerifier({ baseUrl: service.url, credential: { projectId, secret } });
  onTestFinished(() => verifier.close());
  await expect(verifier.ready()).rejects.toThrow(/permission/);
  const { login } = await logins("acme");
  expect(await verifier.verify(login.jwt)).toMatchObject({ ok: true, answeredBy: "server" });
  const { revision } = await sessions.revoke({ target: { case: "id", value: login.id } });
  const rejection = { ok: false, reason: "revoked", scope: "session", revision: Number(revision) };
  expect(await verifier.verify(login.jwt)).toEqual(rejection);
});

test("a verifier rejects JWTs of a revoked key and accepts those of its successor", async () => {
  const { token, jwt } = await sessions.create({ memberId: "ada" });
  const { kid = "" } = decodeProtectedHeader(jwt);
  const verifier = await verifierAt(service.url, { onStale: "refuse" });
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true, claims: { memberId: "ada" } });

  const event = once(verifier.events, "revocation");
  await projectsOf(service).revokeSigningKey({ projectId, kid });
  await event;
  expect(await verifier.verify(jwt)).toMatchObject({ ok: false, reason: "revoked", scope: "signing_key" });

  const shown = { case: "token", value: token } as const;
  const fresh = await sessions.authenticate({ credential: shown, issueJwt: true });
  expect(decodeProtectedHeader(fresh.jwt).kid).not.toBe(kid);
  expect(await verifier.verify(fresh.jwt)).toMatchObject({ ok: true, claims: { memberId: "ada" } });
});

test.each(["ask", "accept"] as const)(
  "a verifier whose project is disabled refuses every session, also if it starts later: %s",
  async (onStale) => {
    const projects = projectsOf(service);
    const id = `disabled-${onStale}`;
    await projects.createProject({ id });
    const permissions = [Permission.SESSIONS_CREATE, Permission.SESSIONS_AUTHENTICATE];
    const { secret } = await projects.createServiceCredential({ projectId: id, permissions });
    const { jwt } = await sessionsOf(service, basicAuthorization(id, secret)).create({ memberId: "ada" });
    await projects.disableProject({ id });
    const verifier = createVerifier({ baseUrl: service.url, credential: { projectId: id, secret }, onStale });
    onTestFinished(() => verifier.close());
    await once(verifier.events, "credentialRefused");
    expect(await verifier.verify(jwt)).toMatchObject({ ok: false, reason: "revoked", scope: "project" });
  },
);
