import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { parseCertificateName } from "../../../src/domain/certificate-name.ts";
import { newCredentialId, newSessionId } from "../../../src/domain/ids.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { StoredSigningKey } from "../../../src/domain/keys/signing-key.ts";
import type { Store } from "../../../src/domain/store.ts";
import { hashSecret, newProjectTag } from "../../../src/domain/sessions/token.ts";
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";
import { migrateTemplate } from "../../support/postgres/cluster.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import {
  at,
  memberId,
  must,
  newProject,
  newSession,
  orderOf,
  organizationId,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";

const project = newProject();
const { id } = project;
const hash = hashSecret("a secret");
const signingKey: StoredSigningKey = {
  projectId: id,
  kid: "kid",
  algorithm: "ES256",
  publicJwk: { kty: "EC" },
  sealedPrivateKey: Buffer.from("sealed"),
  masterKeyId: "id",
  createTime: at(0),
  activateTime: at(0),
  retireTime: undefined,
  revocation: undefined,
};

/** A call of every method that promises to fail with DATABASE_UNAVAILABLE. */
const calls: { [Method in Exclude<keyof Store, "recordAccess">]: (store: Store) => Promise<unknown> } = {
  createSession: (store) => store.createSession(newSession(project), hash),
  createSessionWithin: (store) =>
    store.createSessionWithin(newSession(project), hashSecret("another secret"), {
      max: 1,
      action: "end_oldest",
      actor: "",
    }),
  replaceToken: (store) =>
    store.replaceToken({
      projectId: id,
      hash,
      salt: hash,
      successor: hashSecret("a newer one"),
      time: at(0),
    }),
  findSession: (store) => store.findSession(id, newSessionId()),
  findOwner: (store) => store.findOwner(id, { scope: "session", id: newSessionId() }),
  findSessionByToken: (store) => store.findSessionByToken({ tag: newProjectTag(), hash }),
  listSessions: (store) =>
    store.listSessions({
      projectId: id,
      memberId: memberId("ada"),
      organizationId: undefined,
      state: "active",
      now: at(0),
      page: { size: 1, after: undefined },
    }),
  extendSession: (store) => store.extendSession(id, newSessionId(), at(1), at(0)),
  revoke: (store) => store.revoke(orderOf(project, { scope: "session", id: newSessionId() })),
  readRevocations: (store) => store.readRevocations(id, 0, 1),
  oldestResumable: (store) => store.oldestResumable(id),
  listRevocations: (store) =>
    store.listRevocations({
      projectId: id,
      startTime: undefined,
      endTime: undefined,
      actor: undefined,
      scope: undefined,
      targetId: undefined,
      page: { size: 1, after: undefined },
    }),
  firstThatMatters: (store) => store.firstThatMatters(id, at(0)),
  countActive: (store) => store.countActive(id, { scope: "project" }, at(0)),
  isMemberOf: (store) => store.isMemberOf(id, memberId("ada"), organizationId("acme")),
  createProject: (store) => store.createProject(newProject()),
  findProject: (store) => store.findProject(id),
  listProjects: (store) => store.listProjects({ size: 1, after: undefined }),
  updatePolicy: (store) => store.updatePolicy(id, defaultPolicy),
  disableProject: (store) => store.disableProject(newProject().id, at(0)),
  createCredential: (store) =>
    store.createCredential({
      projectId: id,
      id: newCredentialId(),
      displayName: "",
      permissions: [],
      certificateNames: [],
      createTime: at(0),
      secretHash: hash,
    }),
  listCredentials: (store) => store.listCredentials(id, { size: 1, after: undefined }),
  disableCredential: (store) => store.disableCredential(id, newCredentialId(), at(0)),
  findCredentials: (store) => store.findCredentials(id),
  findCertified: (store) => store.findCertified([must(parseCertificateName("a.example"))]),
  signingLine: (store) => store.signingLine(id, at(0)),
  isSigningKeyGood: (store) => store.isSigningKeyGood(id, "kid"),
  findSigningKey: (store) => store.findSigningKey(id, "kid"),
  listSigningKeys: (store) => store.listSigningKeys(id),
  addFirstSigningKey: (store) => store.addFirstSigningKey(signingKey),
  addNextSigningKey: (store) => store.addNextSigningKey({ ...signingKey, kid: "next" }),
  keysSealedOtherwise: (store) => store.keysSealedOtherwise("id", at(0), 1),
  resealSigningKey: (store) => store.resealSigningKey(signingKey, "id"),
  ping: (store) => store.ping(),
};

test("while the database is gone every method says so, and the store works by itself when it is back", async () => {
  const directory = await mkdtemp(join(tmpdir(), "sessiond-outage-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ directory });
  onTestFinished(() => postgres.stop());
  await migrateTemplate(postgres.url);
  const relay = await startRelay(postgres.url);
  onTestFinished(() => relay.close());
  const opened = openStore(relay.url, { maxConnections: 4 });
  onTestFinished(() => opened.close());
  const { store } = opened;
  await storedProject(store, project);
  const { session } = await storedSession(store, project);
  const doomed = await storedSession(store, project);
  const receipt = await store.revoke(orderOf(project, { scope: "session", id: doomed.session.id }));

  // Its supervisor starts it again at once; the relay keeps it out of reach until every method was called.
  relay.cut();
  process.kill(must(postgres.pid()), "SIGKILL");
  store.recordAccess(session, at(1));
  const outcomes = await Promise.all(
    Object.entries(calls).map(async ([method, call]) => [
      method,
      await call(store).then(
        () => "answered",
        (error: unknown) => (error as { reason?: unknown }).reason ?? error,
      ),
    ]),
  );
  expect(outcomes).toEqual(Object.keys(calls).map((method) => [method, "DATABASE_UNAVAILABLE"]));
  expect(opened.lostAccesses).toMatchObject([{ reason: "DATABASE_UNAVAILABLE" }]);

  relay.mend();
  await vi.waitUntil(
    () =>
      store.ping().then(
        () => true,
        () => false,
      ),
    patience,
  );
  expect(await store.findSession(id, session.id)).toEqual(session);
  expect((await store.findSession(id, doomed.session.id))?.revocation?.revision).toBe(receipt?.revision);
  for (const call of Object.values(calls)) await call(store);
});
