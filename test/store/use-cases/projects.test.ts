import { beforeEach, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import { type ProjectId, newCredentialId, parseActingUser } from "../../../src/domain/ids.ts";
import { defaultPolicy } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { Cause } from "../../../src/domain/revocation.ts";
import { hashSecret } from "../../../src/domain/token.ts";
import {
  createCredential,
  createProject,
  disableCredential,
  disableProject,
  getProject,
  listCredentials,
  listProjects,
  updatePolicy,
} from "../../../src/domain/use-cases/projects.ts";
import { getJwks } from "../../../src/domain/use-cases/signing-keys.ts";
import { at, hour, must, newProject } from "../../support/fixtures/stored.ts";
import { login, serviceOf, useDeployment } from "../../support/fixtures/deployment.ts";

const deployment = useDeployment();
let project: Project;

beforeEach(async () => {
  project = await create();
});

function create(id = newProject().id): Promise<Project> {
  const command = { id, displayName: "Shop", environment: "live", policy: defaultPolicy } as const;
  return createProject(deployment, command, unlimited);
}

function disable(id: ProjectId, cause: Cause = "unspecified") {
  return disableProject(deployment, serviceOf(project), { id, cause, reason: "" }, unlimited);
}

const noPermissions = { displayName: "", permissions: [], certificateNames: [] };

test("a project is created once, with a unique tag", async () => {
  const times = { createTime: at(0), disableTime: undefined };
  expect(project).toMatchObject({ displayName: "Shop", environment: "live", ...times });
  expect(await getProject(deployment, project.id, unlimited)).toEqual(project);
  await expect(create(project.id)).rejects.toMatchObject({ reason: "PROJECT_EXISTS" });
  expect((await create()).tag).not.toBe(project.tag);
});

test("every use case reports a missing project or credential", async () => {
  const { id } = newProject();
  const calls = [
    () => getProject(deployment, id, unlimited),
    () => updatePolicy(deployment, id, defaultPolicy, unlimited),
    () => disable(id),
    () => createCredential(deployment, { projectId: id, ...noPermissions }, unlimited),
    () => listCredentials(deployment, id, 0, "", unlimited),
    () => getJwks(deployment, id, unlimited),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ reason: "PROJECT_NOT_FOUND" });
  const disabling = disableCredential(deployment, project.id, newCredentialId(), unlimited);
  await expect(disabling).rejects.toMatchObject({ reason: "CREDENTIAL_NOT_FOUND" });
});

test("pages through the projects without gaps or repetition", async () => {
  for (let i = 0; i < 4; i++) await create();
  const seen: string[] = [];
  let token = "";
  do {
    const page = await listProjects(deployment, 2, token, unlimited);
    seen.push(...page.projects.map(({ id }) => id));
    token = page.nextPageToken;
  } while (token !== "");
  expect(seen).toContain(project.id);
  expect(new Set(seen).size).toBe(seen.length);
  const negative = listProjects(deployment, -1, "", unlimited);
  await expect(negative).rejects.toMatchObject({ violations: [{ field: "page_size" }] });
});

test("changes a policy, and disables a project", async () => {
  const change = { maxLifetime: hour, defaultLifetime: undefined };
  const policy = { ...defaultPolicy, maxLifetime: hour, defaultLifetime: hour };
  expect(await updatePolicy(deployment, project.id, change, unlimited)).toEqual({ ...project, policy });
  deployment.setClock(5);
  const disabled = { ...project, policy, disableTime: at(5) };
  expect(await disable(project.id, "policy")).toEqual(disabled);
  deployment.setClock(9);
  expect(await disable(project.id, "compromise")).toEqual(disabled);
});

test("disabling a project revokes its sessions, once, and records who did it and why", async () => {
  const service = serviceOf(project);
  const { session } = await login(deployment, service);
  const { revocations } = deployment.store;
  const operator = { ...serviceOf(await create()), actingUser: must(parseActingUser("grace")) };
  const disabling = { id: project.id, cause: "administration", reason: "contract ended" } as const;
  await disableProject(deployment, operator, disabling, unlimited);
  await disable(project.id);
  const { actingUser, credential } = operator;
  const found = await deployment.store.sessions.findSession(project.id, session.id);
  const why = { scope: "project", time: at(0), cause: "administration", reason: "contract ended" };
  expect(found?.revocation).toEqual({ revision: 1, ...why, actor: `service/${credential.id}`, actingUser });
  const log = await revocations.readRevocations(project.id, 0, 10);
  expect(log).toMatchObject({
    head: { revision: 1 },
    revocations: [{ scope: "project", targetId: project.id }],
  });
});

test("a secret is returned once, and only its hash is stored", async () => {
  const permissions = ["sessions.create"] as const;
  const command = { projectId: project.id, displayName: "Login", permissions, certificateNames: [] };
  const { credential, secret } = await createCredential(deployment, command, unlimited);
  const given = await createCredential(deployment, { ...command, secret: "given from outside" }, unlimited);
  expect(given.secret).toBe("given from outside");
  expect(JSON.stringify(given.credential)).not.toContain(given.secret);
  const found = must(await deployment.store.projects.findCredentials(project.id)).credentials;
  expect(found.find(({ id }) => id === credential.id)?.secretHash).toEqual(hashSecret(secret));
  expect(found.find(({ id }) => id === given.credential.id)?.secretHash).toEqual(hashSecret(given.secret));
  const { credentials } = await listCredentials(deployment, project.id, 0, "", unlimited);
  expect(credentials).toEqual([given.credential, credential]);
});

test("lists a disabled credential; a page token is valid only for its project", async () => {
  const command = { projectId: project.id, ...noPermissions };
  const { credential } = await createCredential(deployment, command, unlimited);
  await createCredential(deployment, command, unlimited);
  deployment.setClock(3);
  const disabled = await disableCredential(deployment, project.id, credential.id, unlimited);
  expect(disabled).toEqual({ ...credential, disableTime: at(3) });
  const first = await listCredentials(deployment, project.id, 1, "", unlimited);
  const second = await listCredentials(deployment, project.id, 1, first.nextPageToken, unlimited);
  expect(second).toEqual({ credentials: [disabled], nextPageToken: "" });
  const other = await create();
  const listing = listCredentials(deployment, other.id, 1, first.nextPageToken, unlimited);
  await expect(listing).rejects.toMatchObject({ violations: [{ field: "page_token" }] });
  const disabling = disableCredential(deployment, other.id, credential.id, unlimited);
  await expect(disabling).rejects.toMatchObject({ reason: "CREDENTIAL_NOT_FOUND" });
});

test("publishes keys before the first JWT, and not after the project is disabled", async () => {
  const { keys } = await getJwks(deployment, project.id, unlimited);
  const { kid } = await deployment.keyRing.signingKey(project, unlimited);
  expect(keys.map((key) => key.kid)).toEqual([kid]);
  await disable(project.id);
  const refused = { reason: "PROJECT_NOT_FOUND" };
  await expect(getJwks(deployment, project.id, unlimited)).rejects.toMatchObject(refused);
});
