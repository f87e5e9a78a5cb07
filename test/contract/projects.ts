import { beforeEach, expect, test } from "vitest";
import { type ProjectId, newCredentialId, parseProjectId } from "../../src/domain/ids.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { NewServiceCredential, Project } from "../../src/domain/project.ts";
import type { Store } from "../../src/domain/store.ts";
import { hashSecret } from "../../src/domain/token.ts";
import { at, hour, newProject, start, storedProject } from "../support/stored.ts";
import type { Replicas } from "./store-contract.ts";

/** Projects, policies and credentials. */
export function projectContract(replicas: Replicas): void {
  let store: Store;
  let project: Project;

  beforeEach(async () => {
    store = replicas.one();
    project = await storedProject(store);
  });

  const newCredential = (overrides: Partial<NewServiceCredential> = {}): NewServiceCredential => ({
    projectId: project.id,
    id: newCredentialId(),
    displayName: 'Login, "the" {service}',
    permissions: ["sessions.create", "projects.admin"],
    createTime: start,
    secretHash: hashSecret("a secret"),
    ...overrides,
  });

  test("a project is found as it was created", async () => {
    expect(await replicas.other().findProject(project.id)).toEqual(project);
    expect(await store.findProject(newProject().id)).toBeUndefined();
  });

  test("an id is taken once, however many race for it", async () => {
    const rivals = Array.from({ length: 6 }, () => newProject({ id: newProject().id }));
    const [{ id }] = rivals as [Project];
    const created = await Promise.all(
      rivals.map((rival, i) => (i % 2 ? store : replicas.other()).createProject({ ...rival, id })),
    );
    expect(created.filter(Boolean)).toHaveLength(1);
    expect(await store.findProject(id)).toEqual({ ...rivals[created.indexOf(true)], id });
    expect(await store.createProject(newProject({ id: project.id }))).toBe(false);
    expect(await store.findProject(project.id)).toEqual(project);
  });

  test("lists projects by id, one more than a page where there is one", async () => {
    const prefix = `list-${project.id.slice(-8)}`;
    const ids = ["a", "b", "c"].map((end) => parseProjectId(`${prefix}-${end}`) as ProjectId);
    for (const id of ids.toReversed()) await storedProject(store, { id });
    const page = async (after: ProjectId | undefined, size: number) =>
      (await store.listProjects({ size, after })).map(({ id }) => id);
    expect(await page(ids[0], 1)).toEqual(ids.slice(1));
    const seen: ProjectId[] = [];
    for (let rest = await page(undefined, 7); rest.length > 0; rest = await page(seen.at(-1), 7))
      seen.push(...rest.slice(0, 7));
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("replaces a policy as a whole", async () => {
    const policy: Policy = {
      defaultLifetime: hour,
      maxLifetime: 2 * hour,
      defaultIdleTimeout: 1000,
      jwtLifetime: 10_000,
      roleGrants: [{ role: "admin", permissions: ["sessions.read", "sessions.revoke"] }],
      jwtProfile: "stytch",
      signatureAlgorithm: "EdDSA",
    };
    expect(await store.updatePolicy(project.id, policy)).toEqual({ ...project, policy });
    const without = { ...policy, defaultIdleTimeout: undefined, roleGrants: [] };
    expect(await store.updatePolicy(project.id, without)).toEqual({ ...project, policy: without });
    expect(await store.findProject(project.id)).toEqual({ ...project, policy: without });
    expect(await store.updatePolicy(newProject().id, policy)).toBeUndefined();
  });

  test("disabling a project keeps the first time", async () => {
    const disabled = { ...project, disableTime: at(1) };
    expect(await store.disableProject(project.id, at(1))).toEqual(disabled);
    expect(await store.disableProject(project.id, at(2))).toEqual(disabled);
    expect(await store.findProject(project.id)).toEqual(disabled);
    expect((await store.findCredentials(project.id))?.project).toEqual(disabled);
    expect(await store.disableProject(newProject().id, at(1))).toBeUndefined();
  });

  test("finds the enabled credentials of a project with the hashes of their secrets", async () => {
    const [one, two] = [newCredential(), newCredential({ permissions: [], secretHash: hashSecret("other") })];
    expect(await store.findCredentials(project.id)).toEqual({ project, credentials: [] });
    expect(await store.createCredential(one)).toBe(true);
    expect(await store.createCredential(two)).toBe(true);
    const found = await store.findCredentials(project.id);
    expect(found?.project).toEqual(project);
    expect(found?.credentials).toHaveLength(2);
    expect(found?.credentials).toEqual(
      expect.arrayContaining([one, two].map((credential) => ({ ...credential, disableTime: undefined }))),
    );
    expect(await store.findCredentials((await storedProject(store)).id)).toMatchObject({ credentials: [] });
    expect(await store.findCredentials(newProject().id)).toBeUndefined();
  });

  test("no credential without a project", async () => {
    expect(await store.createCredential(newCredential({ projectId: newProject().id }))).toBe(false);
  });

  test("a disabled credential is no longer found but listed, with the first time", async () => {
    const credential = newCredential();
    const { secretHash: _, ...shown } = credential;
    await store.createCredential(credential);
    const foreign = await storedProject(store);
    expect(await store.disableCredential(foreign.id, credential.id, at(1))).toBeUndefined();
    expect(await store.disableCredential(project.id, newCredentialId(), at(1))).toBeUndefined();
    const disabled = { ...shown, disableTime: at(1) };
    expect(await store.disableCredential(project.id, credential.id, at(1))).toEqual(disabled);
    expect(await store.disableCredential(project.id, credential.id, at(2))).toEqual(disabled);
    expect((await store.findCredentials(project.id))?.credentials).toEqual([]);
    expect(await store.listCredentials(project.id, { size: 5, after: undefined })).toEqual([disabled]);
  });

  test("lists credentials newest first, one more than a page where there is one", async () => {
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const credential = newCredential();
      await store.createCredential(credential);
      ids.unshift(credential.id);
    }
    const first = await store.listCredentials(project.id, { size: 1, after: undefined });
    expect(first.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const rest = await store.listCredentials(project.id, { size: 5, after: ids[0] });
    expect(rest.map(({ id }) => id)).toEqual(ids.slice(1));
    expect(
      await store.listCredentials((await storedProject(store)).id, { size: 5, after: undefined }),
    ).toEqual([]);
  });

  test("answers while the database does", async () => {
    await expect(store.ping()).resolves.toBeUndefined();
  });
}
