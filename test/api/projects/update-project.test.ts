import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { Environment, PolicySchema } from "../../../gen/session/v1/project_pb.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { projectsOf, violationsOf } from "../../support/fixtures/service-clients.ts";
import { patch, seconds, setProjectStage } from "./project-stage.ts";

const stage = await setProjectStage();
const { one, clients } = stage;

describe.each(clients)("UpdateProject over %s", (_, client) => {
  const rename = (displayName: string, ...paths: string[]) =>
    client.updateProject({ project: { id: stage.id, displayName }, updateMask: { paths } });

  test("changes the display name if it is set or named", async () => {
    expect((await rename("Store")).project).toEqual(await stage.stored());
    expect((await stage.stored()).displayName).toBe("Store");
    for (const [displayName, paths] of [
      ["", []],
      ["Other", ["id"]],
      ["Other", ["create_time", "disable_time", "environment"]],
    ] as const) {
      await client.updateProject({
        project: { id: stage.id, displayName, environment: Environment.LIVE },
        updateMask: { paths: [...paths] },
      });
      expect((await stage.stored()).displayName).toBe("Store");
    }
    await rename("Market", "display_name", "display_name");
    expect((await stage.stored()).displayName).toBe("Market");
    await rename("", "display_name");
    expect((await stage.stored()).displayName).toBe("");
    await rename("Shop", "*");
    expect((await stage.stored()).displayName).toBe("Shop");
    await rename("", "*");
    expect((await stage.stored()).displayName).toBe("");
  });

  test("takes back a project that was read, and ignores what only the server sets", async () => {
    const before = await stage.stored();
    for (const paths of [[], ["*"], ["display_name", "environment", "create_time", "id"]]) {
      const project = {
        ...before,
        displayName: "Read and written",
        createTime: create(TimestampSchema, seconds(1)),
        disableTime: create(TimestampSchema, seconds(2)),
        policy: create(PolicySchema, { jwtLifetime: seconds(60) }),
      };
      const answer = await client.updateProject({ project, updateMask: { paths } });
      expect(answer.project).toEqual({ ...before, displayName: "Read and written" });
    }
  });

  test("refuses another environment", async () => {
    const refused = { "project.environment": "cannot be changed after the project was created" };
    const project = { id: stage.id, displayName: "Other", environment: Environment.TEST };
    for (const paths of [[], ["*"], ["environment"]]) {
      expect(await violationsOf(client.updateProject({ project, updateMask: { paths } }))).toEqual(refused);
    }
    expect(Object.keys(await violationsOf(rename("", "environment")))).toEqual(["project.environment"]);
    expect((await stage.stored()).displayName).toBe("Shop");
    await client.updateProject({ project, updateMask: { paths: ["display_name"] } });
    expect(await stage.stored()).toMatchObject({ displayName: "Other", environment: Environment.LIVE });
  });

  test("refuses a mask with the policy and names UpdatePolicy, and any other unknown path", async () => {
    for (const paths of [["policy"], ["policy.jwt_lifetime"], ["tag"]]) {
      expect(await violationsOf(rename("Other", ...paths))).toEqual({
        update_mask: "must name only display_name, or be *; the policy is changed by UpdatePolicy",
      });
    }
    expect((await stage.stored()).displayName).toBe("Shop");
  });

  test("needs a project with an id", async () => {
    expect(Object.keys(await violationsOf(client.updateProject({})))).toEqual(["project"]);
    expect(Object.keys(await violationsOf(client.updateProject({ project: {} })))).toEqual(["project.id"]);
    const unknown = client.updateProject({ project: { id: `${stage.id}-unknown` } });
    expect(await unknown.catch(reasonOf)).toBe("PROJECT_NOT_FOUND");
  });
});

test("over REST, the body is the project, whose id the path overrides", async () => {
  const another = `p-${randomUUID()}`;
  await projectsOf(one).createProject({ id: another, displayName: "Another" });
  const { status, text } = await patch(one, stage.id, { id: another, displayName: "Renamed" });
  expect({ status, json: JSON.parse(text) }).toMatchObject({
    status: 200,
    json: { project: { id: stage.id, displayName: "Renamed" } },
  });
  expect((await stage.stored(another)).displayName).toBe("Another");
  expect((await patch(one, `${stage.id}?update_mask=displayName`)).status).toBe(200);
  expect((await stage.stored()).displayName).toBe("");
  expect((await patch(one, `${stage.id}?update_mask=policy`, {})).text).toContain("UpdatePolicy");
  expect((await patch(one, stage.id, { environment: "ENVIRONMENT_TEST" })).text).toContain(
    "project.environment: ",
  );
});
