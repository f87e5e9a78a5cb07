import { expect, onTestFinished, test, vi } from "vitest";
import { parseCertificateName } from "../../../src/domain/certificate-name.ts";
import { newCredentialId, newSessionId } from "../../../src/domain/ids.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { StoredSigningKey } from "../../../src/domain/keys/signing-key.ts";
import type { Store } from "../../../src/domain/store/store.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { hashSecret, newProjectTag } from "../../../src/domain/token.ts";
import { migrateTemplate } from "../../support/postgres/cluster.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { temporaryPostgres } from "../../support/postgres/temporary-postgres.ts";
import {
  at,
  disableProject,
  memberId,
  must,
  newCredential,
  newProject,
  newRequest,
  newSession,
  organizationId,
  revocationQuery,
  revokeTarget,
  sessionQuery,
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

type Group = "sessions" | "revocations" | "projects" | "signingKeys";
type MethodName =
  | "ping"
  | { [Name in Group]: `${Name}.${Exclude<keyof Store[Name] & string, "recordAccess">}` }[Group];

/** A call of every method that fails with DATABASE_UNAVAILABLE. */
const calls: Record<MethodName, (store: PostgresStore) => Promise<unknown>> = {
  "sessions.createSession": ({ sessions }) => sessions.createSession(newSession(project), hash),
  "sessions.createSessionWithin": ({ sessions }) =>
    sessions.createSessionWithin(newSession(project), hashSecret("another secret"), {
      max: 1,
      action: "end_oldest",
      actor: "",
    }),
  "sessions.createSessionOnce": ({ sessions }) =>
    sessions.createSessionOnce(newSession(project), hashSecret("a third secret"), newRequest()),
  "sessions.replaceToken": ({ sessions }) =>
    sessions.replaceToken({
      projectId: id,
      hash,
      salt: hash,
      successor: hashSecret("a newer one"),
      time: at(0),
    }),
  "sessions.findSession": ({ sessions }) => sessions.findSession(id, newSessionId()),
  "sessions.findOwner": ({ sessions }) => sessions.findOwner(id, { scope: "session", id: newSessionId() }),
  "sessions.findSessionByToken": ({ sessions }) =>
    sessions.findSessionByToken({ tag: newProjectTag(), hash }),
  "sessions.listSessions": ({ sessions }) =>
    sessions.listSessions(sessionQuery(project, { memberId: memberId("ada"), state: "active" })),
  "sessions.extendSession": ({ sessions }) => sessions.extendSession(id, newSessionId(), at(1), at(0)),
  "revocations.revoke": (store) => revokeTarget(store, project, { scope: "session", id: newSessionId() }),
  "revocations.readRevocations": ({ revocations }) => revocations.readRevocations(id, 0, 1),
  "revocations.readHead": ({ revocations }) => revocations.readHead(id, 0),
  "revocations.oldestResumable": ({ revocations }) => revocations.oldestResumable(id),
  "revocations.listRevocations": ({ revocations }) => revocations.listRevocations(revocationQuery(project)),
  "revocations.oldestRelevant": ({ revocations }) => revocations.oldestRelevant(id, at(0)),
  "revocations.countActive": ({ revocations }) => revocations.countActive(id, { scope: "project" }, at(0)),
  "sessions.isMemberOf": ({ sessions }) => sessions.isMemberOf(id, memberId("ada"), organizationId("acme")),
  "projects.createProject": ({ projects }) => projects.createProject(newProject()),
  "projects.findProject": ({ projects }) => projects.findProject(id),
  "projects.listProjects": ({ projects }) => projects.listProjects({ size: 1, after: undefined }),
  "projects.updateProject": ({ projects }) => projects.updateProject(id, () => ({ policy: defaultPolicy })),
  "projects.disableProject": (store) => disableProject(store, newProject()),
  "projects.createCredential": ({ projects }) => projects.createCredential(newCredential(project)),
  "projects.listCredentials": ({ projects }) => projects.listCredentials(id, { size: 1, after: undefined }),
  "projects.disableCredential": ({ projects }) => projects.disableCredential(id, newCredentialId(), at(0)),
  "projects.findCredentials": ({ projects }) => projects.findCredentials(id),
  "projects.findCertified": ({ projects }) =>
    projects.findCertified([must(parseCertificateName("a.example"))]),
  "signingKeys.signingSchedule": ({ signingKeys }) => signingKeys.signingSchedule(id, at(0)),
  "signingKeys.isSigningKeyGood": ({ signingKeys }) => signingKeys.isSigningKeyGood(id, "kid"),
  "signingKeys.findSigningKey": ({ signingKeys }) => signingKeys.findSigningKey(id, "kid"),
  "signingKeys.pageSigningKeys": ({ signingKeys }) =>
    signingKeys.pageSigningKeys(id, { size: 1, after: undefined }),
  "signingKeys.listSigningKeys": ({ signingKeys }) => signingKeys.listSigningKeys(id),
  "signingKeys.addFirstSigningKey": ({ signingKeys }) => signingKeys.addFirstSigningKey(signingKey),
  "signingKeys.addNextSigningKey": ({ signingKeys }) =>
    signingKeys.addNextSigningKey({ ...signingKey, kid: "next" }),
  "signingKeys.keysNotWrappedWith": ({ signingKeys }) => signingKeys.keysNotWrappedWith("id", at(0), 1),
  "signingKeys.rewrapSigningKey": ({ signingKeys }) => signingKeys.rewrapSigningKey(signingKey, "id"),
  ping: (store) => store.ping(),
};

test("every method fails with DATABASE_UNAVAILABLE during an outage, and works again after it", async () => {
  const postgres = await temporaryPostgres();
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
  const receipt = await revokeTarget(store, project, { scope: "session", id: doomed.session.id });

  // The supervisor restarts it at once; the relay blocks it until every method was called.
  relay.cut();
  process.kill(must(postgres.pid()), "SIGKILL");
  store.sessions.recordAccess(session, at(1));
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
  const pings = () => store.ping().then(...([() => true, () => false] as const));
  await vi.waitUntil(pings, patience);
  expect(await store.sessions.findSession(id, session.id)).toEqual(session);
  expect((await store.sessions.findSession(id, doomed.session.id))?.revocation?.revision).toBe(
    receipt?.revision,
  );
  for (const call of Object.values(calls)) await call(store);
});
