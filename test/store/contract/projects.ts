import { beforeEach, describe, expect, test } from "vitest";
import { type CertificateName, parseCertificateName } from "../../../src/domain/certificate-name.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import {
  type CredentialId,
  type ProjectId,
  newCredentialId,
  parseProjectId,
} from "../../../src/domain/ids.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import type { NewServiceCredential, Project } from "../../../src/domain/project.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import {
  at,
  disableProject,
  hour,
  must,
  newProject,
  start,
  storedProject,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Projects, policies and credentials. */
export function projectContract(replicas: Replicas): void {
  const { storeOf } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const newCredential = (overrides: Partial<NewServiceCredential> = {}): NewServiceCredential => ({
    projectId: project.id,
    id: newCredentialId(),
    displayName: 'Login, "the" {service}',
    permissions: ["sessions.create", "projects.admin"],
    certificateNames: [],
    createTime: start,
    secretHash: hashSecret("a secret"),
    ...overrides,
  });

  /** A credential as look-ups return it. */
  const calling = (credential: NewServiceCredential) => {
    const { secretHash: _, certificateNames: __, ...shown } = credential;
    return { ...shown, disableTime: undefined };
  };
  const list = (of = project, size = 5, after?: CredentialId) =>
    store.projects.listCredentials(of.id, { size, after });

  test("finds a project as it was created", async () => {
    expect(await replicas.other.projects.findProject(project.id)).toEqual(project);
    expect(await store.projects.findProject(newProject().id)).toBeUndefined();
  });

  test("concurrent creations of one project id succeed once", async () => {
    const rivals = Array.from({ length: 6 }, () => newProject({ id: newProject().id }));
    const [{ id }] = rivals as [Project];
    const created = await Promise.all(
      rivals.map((rival, i) => storeOf(i).projects.createProject({ ...rival, id })),
    );
    expect(created.filter(Boolean)).toHaveLength(1);
    expect(await store.projects.findProject(id)).toEqual({ ...rivals[created.indexOf(true)], id });
    expect(await store.projects.createProject(newProject({ id: project.id }))).toBe(false);
    expect(await store.projects.findProject(project.id)).toEqual(project);
  });

  test("lists projects by id, with one row more than a page", async () => {
    const prefix = `list-${project.id.slice(-8)}`;
    const ids = ["a", "b", "c"].map((end) => parseProjectId(`${prefix}-${end}`) as ProjectId);
    for (const id of ids.toReversed()) await storedProject(store, { id });
    const page = async (after: ProjectId | undefined, size: number) =>
      (await store.projects.listProjects({ size, after })).map(({ id }) => id);
    expect(await page(ids[0], 1)).toEqual(ids.slice(1));
    const seen: ProjectId[] = [];
    for (let rest = await page(undefined, 7); rest.length > 0; rest = await page(seen.at(-1), 7)) {
      seen.push(...rest.slice(0, 7));
    }
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("replaces the whole policy", async () => {
    const policy: Policy = {
      defaultLifetime: hour,
      maxLifetime: 2 * hour,
      defaultIdleTimeout: 1000,
      jwtLifetime: 10_000,
      roleGrants: [{ role: "admin", permissions: ["sessions.read", "sessions.revoke"] }],
      jwtProfile: "stytch",
      signatureAlgorithm: "EdDSA",
      maxSessionsPerMember: 5,
      sessionLimitAction: "end_oldest",
      tokenReuseAction: "revoke",
      tokenReuseLeeway: 0,
    };
    expect(await store.projects.updateProject(project.id, () => ({ policy }))).toEqual({
      ...project,
      policy,
    });
    const without = { ...policy, defaultIdleTimeout: undefined, roleGrants: [] };
    expect(await store.projects.updateProject(project.id, () => ({ policy: without }))).toEqual({
      ...project,
      policy: without,
    });
    expect(await store.projects.findProject(project.id)).toEqual({ ...project, policy: without });
    expect(await store.projects.updateProject(newProject().id, () => ({ policy }))).toBeUndefined();
  });

  test("concurrent updates of different fields all last, and one that fails changes nothing", async () => {
    const changes: Partial<Policy>[] = [
      { maxLifetime: 48 * hour },
      { jwtLifetime: 10_000 },
      { maxSessionsPerMember: 5 },
      { tokenReuseAction: "revoke" },
    ];
    await Promise.all([
      ...changes.map((change, i) =>
        storeOf(i).projects.updateProject(project.id, ({ policy }) => ({ policy: { ...policy, ...change } })),
      ),
      replicas.other.projects.updateProject(project.id, () => ({ displayName: "Renamed" })),
    ]);
    const policy = Object.assign({}, project.policy, ...changes) as Policy;
    const updated = { ...project, displayName: "Renamed", policy };
    expect(await store.projects.findProject(project.id)).toEqual(updated);
    const failing = store.projects.updateProject(project.id, () => {
      throw new Error("refused");
    });
    await expect(failing).rejects.toThrow("refused");
    expect(await store.projects.updateProject(project.id, () => ({}))).toEqual(updated);
    expect(await store.projects.findProject(project.id)).toEqual(updated);
  });

  test("each update sees whether the project was disabled before", async () => {
    const seen: boolean[] = [];
    const update = (i: number) =>
      storeOf(i).projects.updateProject(project.id, ({ disableTime }) => {
        seen.push(disableTime !== undefined);
        return { displayName: `${i}` };
      });
    await Promise.all([
      ...Array.from({ length: 4 }, (_, i) => update(i)),
      disableProject(store, project, at(1)),
    ]);
    await update(0);
    expect(seen).toEqual(seen.toSorted((a, b) => Number(a) - Number(b)));
    expect(seen.at(-1)).toBe(true);
  });

  test("disabling a project keeps the first time", async () => {
    const disabled = { ...project, disableTime: at(1) };
    expect(await disableProject(store, project, at(1))).toEqual(disabled);
    expect(await disableProject(store, project, at(2))).toEqual(disabled);
    expect(await store.projects.findProject(project.id)).toEqual(disabled);
    expect((await store.projects.findCredentials(project.id))?.project).toEqual(disabled);
    expect(await disableProject(store, newProject(), at(1))).toBeUndefined();
  });

  test("finds the enabled credentials of a project with the hashes of their secrets", async () => {
    const [one, two] = [newCredential(), newCredential({ permissions: [], secretHash: hashSecret("other") })];
    expect(await store.projects.findCredentials(project.id)).toEqual({ project, credentials: [] });
    expect(await store.projects.createCredential(one)).toBe(true);
    expect(await store.projects.createCredential(two)).toBe(true);
    const found = await store.projects.findCredentials(project.id);
    expect(found?.project).toEqual(project);
    expect(found?.credentials).toHaveLength(2);
    expect(found?.credentials).toEqual(
      expect.arrayContaining([one, two].map((one) => ({ ...calling(one), secretHash: one.secretHash }))),
    );
    const other = await storedProject(store);
    expect(await store.projects.findCredentials(other.id)).toMatchObject({ credentials: [] });
    expect(await store.projects.findCredentials(newProject().id)).toBeUndefined();
  });

  test("creates no credential without an enabled project, also not beside its disabling", async () => {
    expect(await store.projects.createCredential(newCredential({ projectId: newProject().id }))).toBe(false);
    const creating = Array.from({ length: 4 }, (_, i) =>
      storeOf(i).projects.createCredential(newCredential()),
    );
    const [created] = await Promise.all([Promise.all(creating), disableProject(store, project, at(1))]);
    expect(await store.projects.createCredential(newCredential())).toBe(false);
    expect(await list()).toHaveLength(created.filter(Boolean).length);
  });

  test("a disabled credential is not found but listed, with the first time", async () => {
    const credential = newCredential();
    const { secretHash: _, ...shown } = credential;
    await store.projects.createCredential(credential);
    const foreign = await storedProject(store);
    expect(await store.projects.disableCredential(foreign.id, credential.id, at(1))).toBeUndefined();
    expect(await store.projects.disableCredential(project.id, newCredentialId(), at(1))).toBeUndefined();
    const disabled = { ...shown, disableTime: at(1) };
    expect(await store.projects.disableCredential(project.id, credential.id, at(1))).toEqual(disabled);
    expect(await store.projects.disableCredential(project.id, credential.id, at(2))).toEqual(disabled);
    expect((await store.projects.findCredentials(project.id))?.credentials).toEqual([]);
    expect(await list()).toEqual([disabled]);
  });

  test("lists credentials newest first, with one row more than a page", async () => {
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const credential = newCredential();
      await store.projects.createCredential(credential);
      ids.unshift(credential.id);
    }
    expect((await list(project, 1)).map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect((await list(project, 5, ids[0])).map(({ id }) => id)).toEqual(ids.slice(1));
    expect(await list(await storedProject(store))).toEqual([]);
  });

  describe("a certificate name", () => {
    /** Names that no other test uses. */
    const newNames = (): [CertificateName, CertificateName] => [
      must(parseCertificateName(`spiffe://a.example/${newCredentialId()}`)),
      must(parseCertificateName(`n${newCredentialId()}.example`)),
    ];
    const failure = (creation: Promise<unknown>) =>
      creation.then(
        () => "created",
        (error: unknown) => error instanceof SessiondError && [error.reason, error.metadata],
      );

    test("finds the credential and its project", async () => {
      const [name, other] = newNames();
      const credential = newCredential({ certificateNames: [name, other] });
      const found = { project, credential: calling(credential) };
      expect(await store.projects.findCertified([name])).toBeUndefined();
      expect(await store.projects.createCredential(credential)).toBe(true);
      expect(await store.projects.findCertified([name])).toEqual(found);
      expect(await replicas.other.projects.findCertified([...newNames(), other, name])).toEqual(found);
      expect(await store.projects.findCertified(newNames())).toBeUndefined();
      expect(await store.projects.findCertified([])).toBeUndefined();
      const [listed] = await list();
      expect(listed?.certificateNames).toEqual([name, other]);
      await disableProject(store, project, at(1));
      const disabled = { ...project, disableTime: at(1) };
      expect(await store.projects.findCertified([name])).toEqual({ ...found, project: disabled });
    });

    test("is found among the names of concurrent look-ups", async () => {
      const owners = Array.from({ length: 20 }, () => newCredential({ certificateNames: newNames() }));
      for (const owner of owners) await store.projects.createCredential(owner);
      const asked = [...owners.map(({ certificateNames }) => certificateNames), newNames()];
      const found = await Promise.all(asked.map((names) => store.projects.findCertified(names)));
      expect(found.map((one) => one?.credential.id)).toEqual([...owners.map(({ id }) => id), undefined]);
    });

    test("finds nothing for names of several credentials", async () => {
      const [[one], [other]] = [newNames(), newNames()];
      await store.projects.createCredential(newCredential({ certificateNames: [one] }));
      const elsewhere = await storedProject(store);
      const foreign = newCredential({ projectId: elsewhere.id, certificateNames: [other] });
      await store.projects.createCredential(foreign);
      expect(await store.projects.findCertified([one])).toMatchObject({ project });
      expect(await store.projects.findCertified([other])).toMatchObject({ project: elsewhere });
      expect(await store.projects.findCertified([one, other])).toBeUndefined();
    });

    test("belongs to one credential across all projects, and a second credential with it is not stored", async () => {
      const [name, free] = newNames();
      const owner = newCredential({ certificateNames: [name] });
      await store.projects.createCredential(owner);
      const elsewhere = await storedProject(store);
      for (const { id: projectId } of [project, elsewhere]) {
        const late = newCredential({ projectId, certificateNames: [free, name] });
        const failed = await failure(store.projects.createCredential(late));
        expect(failed).toEqual(["CERTIFICATE_NAME_EXISTS", { certificate_name: name }]);
      }
      expect(await store.projects.findCertified([name])).toMatchObject({ credential: { id: owner.id } });
      expect(await store.projects.findCertified([free])).toBeUndefined();
      expect((await store.projects.findCredentials(project.id))?.credentials).toHaveLength(1);
      expect((await store.projects.findCredentials(elsewhere.id))?.credentials).toEqual([]);
    });

    test("belongs to one of several concurrent credentials, in any order of their names", async () => {
      const names = newNames();
      const rivals = Array.from({ length: 8 }, (_, i) =>
        newCredential({ certificateNames: i % 2 === 0 ? names : names.toReversed() }),
      );
      const creations = rivals.map((rival, i) => storeOf(i >> 1).projects.createCredential(rival));
      const outcomes = await Promise.all(creations.map(failure));
      expect(outcomes.filter((outcome) => outcome === "created")).toHaveLength(1);
      const winner = rivals[outcomes.indexOf("created")];
      expect(await store.projects.findCertified(names)).toMatchObject({ credential: { id: winner?.id } });
    });

    test("finds nothing after its credential is disabled, and may be assigned again", async () => {
      const names = newNames();
      const first = newCredential({ certificateNames: names });
      await store.projects.createCredential(first);
      await store.projects.disableCredential(project.id, first.id, at(1));
      expect(await store.projects.findCertified(names)).toBeUndefined();
      const next = newCredential({ certificateNames: [names[0]] });
      expect(await store.projects.createCredential(next)).toBe(true);
      expect(await store.projects.findCertified(names)).toMatchObject({ credential: { id: next.id } });
    });
  });

  test("ping resolves while the database answers", async () => {
    await expect(store.ping()).resolves.toBeUndefined();
  });
}
