import { randomBytes } from "node:crypto";
import { parseCertificateName } from "../../../../src/domain/certificate-name.ts";
import { newCredentialId, newSessionId, parseActingUser } from "../../../../src/domain/ids.ts";
import type { Project } from "../../../../src/domain/project.ts";
import type { StoredSigningKey } from "../../../../src/domain/keys/signing-key.ts";
import type { PostgresStore } from "../../../../src/storage/postgres-store.ts";
import { type SecretHash, newProjectTag } from "../../../../src/domain/token.ts";
import {
  at,
  disableProject,
  hour,
  memberId,
  must,
  newProject,
  newRequest,
  newSession,
  type orderOf,
  organizationId,
  revocationQuery,
  revokeTarget,
  storedSession,
} from "../../../support/fixtures/stored.ts";

/** Runs every statement of a service: twice, with active and with revoked sessions. */
export async function useEverything(store: PostgresStore): Promise<void> {
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

/** A certificate name of this project only. */
const nameOf = ({ id }: Project, name: string) => must(parseCertificateName(`${name}.${id}.example`));

function credentialOf(project: Project, name: string) {
  return {
    projectId: project.id,
    id: newCredentialId(),
    displayName: "A service",
    permissions: ["sessions.read"] as const,
    certificateNames: [nameOf(project, name)],
    secretHash: hash(),
    createTime: at(0),
  };
}

async function createProjects(store: PostgresStore): Promise<Project> {
  const project = newProject();
  const credential = credentialOf(project, "first");
  await store.projects.createProject(project, credential);
  await store.projects.createProject(project); // which is there
  await store.projects.createProject(newProject());
  const second = credentialOf(project, "second");
  await store.projects.createCredential(second);
  await store.projects.createCredential({ ...credentialOf(project, "x"), certificateNames: [] });
  await store.projects.createCredential(credentialOf(project, "second")).catch(() => undefined); // its name is taken
  await store.projects.disableCredential(project.id, second.id, at(1));
  await store.projects.createCredential(credentialOf(project, "second"));
  await store.projects.disableCredential(project.id, newCredentialId(), at(1));
  return project;
}

async function useProjects(store: PostgresStore, project: Project): Promise<void> {
  await store.projects.findProject(project.id);
  await store.projects.findCredentials(project.id);
  await store.projects.findCertified([nameOf(project, "second")]);
  await store.projects.listProjects(page);
  await store.projects.listProjects({ size: 2, after: project.id });
  await store.projects.listCredentials(project.id, page);
  await store.projects.listCredentials(project.id, { size: 2, after: newCredentialId() });
  await store.projects.updateProject(project.id, () => ({
    policy: { ...project.policy, jwtLifetime: hour },
  }));
  await disableProject(store, project, at(2));
}

async function useKeys(store: PostgresStore, project: Project): Promise<void> {
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
  await store.signingKeys.addFirstSigningKey(key("first", 0));
  await store.signingKeys.addNextSigningKey(key("second", 1));
  await store.signingKeys.addNextSigningKey(key("third", 2));
  await store.signingKeys.signingSchedule(project.id, at(0));
  await store.signingKeys.isSigningKeyGood(project.id, "first");
  await store.signingKeys.findSigningKey(project.id, "first");
  await store.signingKeys.keysNotWrappedWith("two", at(0), 10);
  await store.signingKeys.rewrapSigningKey({ ...key("first", 0), masterKeyId: "two" }, "one");
  for (const kid of ["third", "second", "first", "first"]) {
    await revokeTarget(store, project, { scope: "signing_key", id: kid });
  }
  await store.signingKeys.listSigningKeys(project.id);
  await store.signingKeys.pageSigningKeys(project.id, { size: 10, after: undefined });
}

async function useSessions(store: PostgresStore, project: Project): Promise<void> {
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
  store.sessions.recordAccess(one.session, at(70_000));
  await store.sessions.extendSession(project.id, one.session.id, at(2 * hour), at(1));
  await store.sessions.isMemberOf(project.id, ada, acme);
  for (const action of ["refuse", "end_oldest"] as const) {
    await store.sessions.createSessionWithin(newSession(project, { memberId: ada }), hash(), {
      max: 2,
      action,
      actor: "service/test",
    });
  }
  const request = newRequest(); // the second creation repeats the first
  for (const token of [hash(), hash()]) {
    await store.sessions.createSessionOnce(newSession(project, { memberId: bob }), token, request);
  }
  const replacement = { projectId: project.id, salt: hash().subarray(0, 16), successor: hash() };
  for (const replaced of [two.token.hash, two.token.hash, hash()]) {
    await store.sessions.replaceToken({ ...replacement, hash: replaced, time: at(1) });
  }
  const read = async () => {
    for (const { session, token } of [one, two, three]) {
      await store.sessions.findSession(project.id, session.id);
      await store.sessions.findSessionByToken(token);
      await store.sessions.findOwner(project.id, { scope: "session", id: session.id });
    }
    await store.sessions.findSession(project.id, newSessionId());
    await store.sessions.findSessionByToken({ tag: newProjectTag(), hash: hash() });
    for (const state of [undefined, "active", "expired", "idle_expired", "revoked"] as const) {
      for (const filter of [
        { memberId: ada, organizationId: undefined },
        { memberId: undefined, organizationId: acme },
        { memberId: ada, organizationId: acme, page: { size: 2, after: newSessionId() } },
      ]) {
        await store.sessions.listSessions({ projectId: project.id, state, now: at(0), page, ...filter });
      }
    }
    for (const target of [
      { scope: "project" },
      { scope: "member", id: ada },
      { scope: "organization", id: acme, except: one.session.id },
    ] as const) {
      await store.revocations.countActive(project.id, target, at(0));
    }
  };
  await read();
  const revoke = (target: Parameters<typeof orderOf>[1]) =>
    revokeTarget(store, project, target, { count: true });
  await revoke({ scope: "session", id: three.session.id });
  await revoke({ scope: "session", token: three.token });
  await revoke({ scope: "session", id: newSessionId() });
  await revoke({ scope: "member", id: ada, except: one.session.id });
  await revoke({ scope: "organization", id: acme });
  await revoke({ scope: "project" });
  // Several commands in one batch, which one statement writes.
  await Promise.all([
    revoke({ scope: "session", token: two.token }),
    revoke({ scope: "project", except: (await storedSession(store, project)).session.id }),
  ]);
  await read();
}

async function readLog(store: PostgresStore, project: Project): Promise<void> {
  await store.revocations.readRevocations(project.id, 0, 3);
  await store.revocations.readHead(project.id, 1);
  await store.revocations.oldestResumable(project.id);
  const all = revocationQuery(project);
  await store.revocations.listRevocations({ ...all, page });
  await store.revocations.listRevocations({ ...all, scope: "member", targetId: "ada", page });
  await store.revocations.listRevocations({
    ...all,
    startTime: at(0),
    endTime: at(hour),
    actor: "service/test",
    page: { size: 2, after: "5" },
  });
  const memberOfAcme = { memberId: memberId("ada"), actingUser: must(parseActingUser("ada@acme.example")) };
  await store.revocations.listRevocations({ ...all, ...memberOfAcme, page });
  await store.revocations.oldestRelevant(project.id, at(0));
}
