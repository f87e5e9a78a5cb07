import { randomBytes } from "node:crypto";
import { parseCertificateName } from "../../../../src/domain/certificate-name.ts";
import { newCredentialId, newSessionId } from "../../../../src/domain/ids.ts";
import type { Project } from "../../../../src/domain/project.ts";
import type { StoredSigningKey } from "../../../../src/domain/keys/signing-key.ts";
import type { Store } from "../../../../src/domain/store.ts";
import { type SecretHash, newProjectTag } from "../../../../src/domain/sessions/token.ts";
import {
  at,
  hour,
  memberId,
  must,
  newProject,
  newSession,
  orderOf,
  organizationId,
  storedSession,
} from "../../../support/fixtures/stored.ts";

/** Asks of the database all that a service asks, in every form: twice, with live sessions and with dead ones. */
export async function useEverything(store: Store): Promise<void> {
  await store.ping();
  const project = await createProjects(store);
  await useKeys(store, project);
  for (let round = 0; round < 2; round++) await useSessions(store, project);
  await readLog(store, project);
  await useProjects(store, project);
}

const hash = () => randomBytes(32) as SecretHash;
const page = { size: 2, after: undefined };
const acme = organizationId("acme");

function credentialOf(project: Project, name: string) {
  return {
    projectId: project.id,
    id: newCredentialId(),
    displayName: "A service",
    permissions: ["sessions.read"] as const,
    certificateNames: [must(parseCertificateName(name))],
    secretHash: hash(),
    createTime: at(0),
  };
}

async function createProjects(store: Store): Promise<Project> {
  const project = newProject();
  const credential = credentialOf(project, "first.example");
  await store.createProject(project, credential);
  await store.createProject(project); // which is there
  await store.createProject(newProject());
  const second = credentialOf(project, "second.example");
  await store.createCredential(second);
  await store.createCredential({ ...credentialOf(project, "x.example"), certificateNames: [] });
  await store.createCredential(credentialOf(project, "second.example")).catch(() => undefined); // its name is taken
  await store.disableCredential(project.id, second.id, at(1));
  await store.createCredential(credentialOf(project, "second.example"));
  await store.disableCredential(project.id, newCredentialId(), at(1));
  return project;
}

async function useProjects(store: Store, project: Project): Promise<void> {
  await store.findProject(project.id);
  await store.findCredentials(project.id);
  await store.findCertified([must(parseCertificateName("second.example"))]);
  await store.listProjects(page);
  await store.listProjects({ size: 2, after: project.id });
  await store.listCredentials(project.id, page);
  await store.listCredentials(project.id, { size: 2, after: newCredentialId() });
  await store.updatePolicy(project.id, { ...project.policy, jwtLifetime: hour });
  await store.disableProject(project.id, at(2));
}

async function useKeys(store: Store, project: Project): Promise<void> {
  const key = (kid: string, time: number): StoredSigningKey => ({
    projectId: project.id,
    kid,
    algorithm: "ES256",
    publicJwk: { kty: "EC" },
    sealedPrivateKey: hash(),
    masterKeyId: "one",
    createTime: at(time),
    activateTime: at(time),
    retireTime: undefined,
    revocation: undefined,
  });
  await store.addFirstSigningKey(key("first", 0));
  await store.addNextSigningKey(key("second", 1));
  await store.addNextSigningKey(key("third", 2));
  await store.signingLine(project.id, at(0));
  await store.isSigningKeyGood(project.id, "first");
  await store.findSigningKey(project.id, "first");
  await store.keysSealedOtherwise("two", at(0), 10);
  await store.resealSigningKey({ ...key("first", 0), masterKeyId: "two" }, "one");
  for (const kid of ["third", "second", "first", "first"]) {
    await store.revoke(orderOf(project, { scope: "signing_key", id: kid }));
  }
  await store.listSigningKeys(project.id);
}

async function useSessions(store: Store, project: Project): Promise<void> {
  const [ada, bob] = [memberId("ada"), memberId("bob")];
  const [one, two, three] = [
    await storedSession(store, project, {
      memberId: ada,
      organizationId: acme,
      idleTimeout: hour,
      roles: ["a"],
    }),
    await storedSession(store, project, { memberId: ada, organizationId: acme }),
    await storedSession(store, project, { memberId: bob }),
  ];
  store.recordAccess(one.session, at(70_000));
  await store.extendSession(project.id, one.session.id, at(2 * hour), at(1));
  await store.isMemberOf(project.id, ada, acme);
  for (const action of ["refuse", "end_oldest"] as const) {
    await store.createSessionWithin(newSession(project, { memberId: ada }), hash(), {
      max: 2,
      action,
      actor: "service/test",
    });
  }
  const replacement = { projectId: project.id, salt: hash().subarray(0, 16), successor: hash() };
  for (const of of [two.token.hash, two.token.hash, hash()]) {
    await store.replaceToken({ ...replacement, hash: of, time: at(1) });
  }
  const read = async () => {
    for (const { session, token } of [one, two, three]) {
      await store.findSession(project.id, session.id);
      await store.findSessionByToken(token);
      await store.findOwner(project.id, { scope: "session", id: session.id });
    }
    await store.findSession(project.id, newSessionId());
    await store.findSessionByToken({ tag: newProjectTag(), hash: hash() });
    for (const state of [undefined, "active", "expired", "idle_expired", "revoked"] as const) {
      for (const filter of [
        { memberId: ada, organizationId: undefined },
        { memberId: undefined, organizationId: acme },
        { memberId: ada, organizationId: acme, page: { size: 2, after: newSessionId() } },
      ]) {
        await store.listSessions({ projectId: project.id, state, now: at(0), page, ...filter });
      }
    }
    for (const target of [
      { scope: "project" },
      { scope: "member", id: ada },
      { scope: "organization", id: acme, except: one.session.id },
    ] as const) {
      await store.countActive(project.id, target, at(0));
    }
  };
  await read();
  const revoke = (target: Parameters<typeof orderOf>[1]) =>
    store.revoke(orderOf(project, target, { count: true }));
  await revoke({ scope: "session", id: three.session.id });
  await revoke({ scope: "session", token: three.token });
  await revoke({ scope: "session", id: newSessionId() });
  await revoke({ scope: "member", id: ada, except: one.session.id });
  await revoke({ scope: "organization", id: acme });
  await revoke({ scope: "project" });
  // Of several things at once: one statement that writes all of it.
  await Promise.all([
    revoke({ scope: "session", token: two.token }),
    revoke({ scope: "project", except: (await storedSession(store, project)).session.id }),
  ]);
  await read();
}

async function readLog(store: Store, project: Project): Promise<void> {
  await store.readRevocations(project.id, 0, 3);
  await store.oldestResumable(project.id);
  const times = { startTime: undefined, endTime: undefined };
  const all = { projectId: project.id, ...times, actor: undefined, scope: undefined, targetId: undefined };
  await store.listRevocations({ ...all, page });
  await store.listRevocations({ ...all, scope: "member", targetId: "ada", page });
  await store.listRevocations({
    ...all,
    startTime: at(0),
    endTime: at(hour),
    actor: "service/test",
    page: { size: 2, after: "5" },
  });
  await store.firstThatMatters(project.id, at(0));
}
