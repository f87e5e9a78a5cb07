import { randomUUID } from "node:crypto";
import { ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { pageTokenAfter } from "../../../src/domain/page.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { projectsOf, violationsOf } from "../../support/fixtures/service-clients.ts";
import { seconds, setProjectStage } from "./project-stage.ts";

const stage = await setProjectStage();
const { one, other } = stage;
const projects = projectsOf(one);

test("a disabled project cannot be changed, but what it has can still be ended", async () => {
  const { credential } = await projects.createServiceCredential({
    projectId: stage.id,
    permissions: [Permission.SESSIONS_READ],
  });
  const { keys } = await projects.getJwks({ projectId: stage.id });
  await projects.disableProject({ id: stage.id });
  const before = await stage.stored();
  const calls = [
    () => projects.updateProject({ project: { id: stage.id, displayName: "Renamed" } }),
    () => projects.updateProject({ project: { id: stage.id } }),
    () => projects.updatePolicy({ projectId: stage.id, policy: { jwtLifetime: seconds(60) } }),
    () => projects.createServiceCredential({ projectId: stage.id, permissions: [Permission.SESSIONS_READ] }),
    () => projects.rotateSigningKey({ projectId: stage.id }),
  ];
  for (const call of calls) {
    const error = await call().catch((refused: unknown) => refused);
    expect(ConnectError.from(error).rawMessage).toBe("the project is disabled");
    expect(errorInfoOf(error)).toMatchObject({
      reason: "PROJECT_NOT_ACTIVE",
      metadata: { disable_time: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
  }
  await projects.disableServiceCredential({ projectId: stage.id, id: credential?.id ?? "" });
  const { signingKey } = await projects.revokeSigningKey({ projectId: stage.id, kid: keys[0]?.kid ?? "" });
  expect(signingKey?.revokeTime).toBeDefined();
  expect((await projects.disableProject({ id: stage.id })).project).toEqual(before);
  // Revoking its last key makes no other one.
  expect((await projects.listSigningKeys({ projectId: stage.id })).signingKeys).toHaveLength(1);
  expect((await projects.listServiceCredentials({ projectId: stage.id })).credentials).toHaveLength(1);
});

test("what is answered beside DisableProject holds: refused calls leave nothing, and nothing comes later", async () => {
  await projects.getJwks({ projectId: stage.id });
  const request = { projectId: stage.id, permissions: [Permission.SESSIONS_READ] };
  const outcome = (call: Promise<unknown>) => call.then(() => "done", reasonOf);
  const creating = [one, other, one, other].map((replica) =>
    outcome(projectsOf(replica).createServiceCredential(request)),
  );
  const rotating = [one, other].map((replica) =>
    outcome(projectsOf(replica).rotateSigningKey({ projectId: stage.id })),
  );
  const renaming = outcome(
    projectsOf(other).updateProject({ project: { id: stage.id, displayName: "Renamed" } }),
  );
  await projects.disableProject({ id: stage.id });
  const [created, rotated, renamed] = [
    await Promise.all(creating),
    await Promise.all(rotating),
    await renaming,
  ];
  expect(["done", "PROJECT_NOT_ACTIVE"]).toEqual(expect.arrayContaining([...created, ...rotated, renamed]));
  const { credentials } = await projects.listServiceCredentials({ projectId: stage.id });
  expect(credentials).toHaveLength(created.filter((one) => one === "done").length);
  const { signingKeys } = await projects.listSigningKeys({ projectId: stage.id });
  expect(signingKeys).toHaveLength(rotated.includes("done") ? 2 : 1);
  expect((await stage.stored()).displayName).toBe(renamed === "done" ? "Renamed" : "Shop");
});

test("ListSigningKeys pages newest first, with tokens for this project only", async () => {
  const kids: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { keys } = await projects.getJwks({ projectId: stage.id });
    const kid = keys[0]?.kid ?? "";
    kids.unshift(kid);
    await projects.revokeSigningKey({ projectId: stage.id, kid });
  }
  const list = (pageSize: number, pageToken: string, projectId = stage.id) =>
    projects.listSigningKeys({ projectId, pageSize, pageToken });
  const all = await list(0, "");
  expect(all.nextPageToken).toBe("");
  expect(all.signingKeys.map(({ kid }) => kid).slice(1)).toEqual(kids);
  const first = await list(2, "");
  const second = await list(2, first.nextPageToken);
  expect([...first.signingKeys, ...second.signingKeys]).toEqual(all.signingKeys);
  expect(second.nextPageToken).toBe("");

  const another = `p-${randomUUID()}`;
  await projects.createProject({ id: another });
  const wrong = [
    list(2, first.nextPageToken, another),
    list(2, `${first.nextPageToken}A`),
    list(2, pageTokenAfter("a\0b", ["signing keys", stage.id])),
  ];
  for (const call of wrong) expect(Object.keys(await violationsOf(call))).toEqual(["page_token"]);
  expect(Object.keys(await violationsOf(list(-1, "")))).toEqual(["page_size"]);
  expect(await list(2, "", `${another}-unknown`).catch(reasonOf)).toBe("PROJECT_NOT_FOUND");
});
