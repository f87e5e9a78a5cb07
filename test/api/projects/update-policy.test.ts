import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  JwtProfile,
  Permission,
  PolicySchema,
  SessionLimitAction,
} from "../../../gen/session/v1/project_pb.ts";
import { projectsOf, violationsOf } from "../../support/fixtures/service-clients.ts";
import { patch, seconds, setProjectStage } from "./project-stage.ts";

const stage = await setProjectStage();
const { one, other, clients } = stage;
const projects = projectsOf(one);
const hour = 3600;

const secondsOf = (duration: { readonly seconds: bigint } | undefined) => Number(duration?.seconds);

describe.each(clients)("UpdatePolicy over %s", (_, client) => {
  test("without a mask, changes the fields that are set, and an explicit zero is set", async () => {
    const roleGrants = [{ role: "admin", permissions: [Permission.SESSIONS_READ] }];
    await client.updatePolicy({ projectId: stage.id, policy: { jwtLifetime: seconds(60), roleGrants } });
    await client.updatePolicy({ projectId: stage.id, policy: { maxSessionsPerMember: 5 }, updateMask: {} });
    expect(await stage.storedPolicy()).toMatchObject({
      jwtLifetime: seconds(60),
      roleGrants,
      maxSessionsPerMember: 5,
    });
    const { project } = await client.updatePolicy({
      projectId: stage.id,
      policy: { maxSessionsPerMember: 0 },
    });
    expect(project).toEqual(await stage.stored());
    expect(await stage.storedPolicy()).toMatchObject({ jwtLifetime: seconds(60), maxSessionsPerMember: 0 });
  });

  test("changes nothing if nothing is set", async () => {
    await client.updatePolicy({ projectId: stage.id, policy: { jwtLifetime: seconds(60) } });
    const before = await stage.stored();
    for (const request of [{}, { policy: {} }, { policy: {}, updateMask: { paths: [] } }]) {
      expect((await client.updatePolicy({ projectId: stage.id, ...request })).project).toEqual(before);
    }
    expect(await stage.stored()).toEqual(before);
  });

  test("with a mask, changes only the named fields; one that is not set takes its default", async () => {
    const policy = {
      jwtLifetime: seconds(60),
      defaultIdleTimeout: seconds(60),
      sessionLimitAction: SessionLimitAction.END_OLDEST,
      tokenReuseLeeway: seconds(0),
    };
    await client.updatePolicy({ projectId: stage.id, policy });
    const paths = ["default_idle_timeout", "jwt_lifetime", "jwt_lifetime"];
    const late = { jwtLifetime: seconds(120), tokenReuseLeeway: seconds(5) };
    await client.updatePolicy({ projectId: stage.id, policy: late, updateMask: { paths } });
    const changed = await stage.storedPolicy();
    expect(changed.defaultIdleTimeout).toBeUndefined();
    expect(changed).toMatchObject({
      jwtLifetime: seconds(120),
      sessionLimitAction: SessionLimitAction.END_OLDEST,
      tokenReuseLeeway: seconds(0),
    });
    await client.updatePolicy({ projectId: stage.id, updateMask: { paths: ["jwt_lifetime"] } });
    expect(secondsOf((await stage.storedPolicy()).jwtLifetime)).toBe(300);
  });

  test("with the mask *, replaces the policy", async () => {
    const { policy: initial } = await stage.stored();
    await client.updatePolicy({ projectId: stage.id, policy: { jwtLifetime: seconds(60) } });
    const policy = { maxLifetime: seconds(hour), jwtProfile: JwtProfile.STYTCH };
    await client.updatePolicy({ projectId: stage.id, policy, updateMask: { paths: ["*"] } });
    expect(await stage.storedPolicy()).toMatchObject({
      ...policy,
      defaultLifetime: seconds(hour),
      jwtLifetime: seconds(300),
    });
    await client.updatePolicy({ projectId: stage.id, updateMask: { paths: ["*"] } });
    expect(await stage.storedPolicy()).toEqual(initial);
  });

  test("refuses a mask with an unknown or nested path, and says what it takes", async () => {
    const before = await stage.stored();
    const wrong = [["a"], ["jwt_lifetime", "a"], ["jwt_lifetime.seconds"]];
    for (const paths of wrong) {
      const call = client.updatePolicy({
        projectId: stage.id,
        policy: { jwtLifetime: seconds(60) },
        updateMask: { paths },
      });
      expect(await violationsOf(call)).toEqual({
        update_mask: expect.stringMatching(/^must name only default_lifetime, .*, or be \*$/),
      });
    }
    expect(await stage.stored()).toEqual(before);
  });
});

test("every field of a policy can be named in a mask", async () => {
  const names = PolicySchema.fields.map(({ name }) => name);
  const policy = { jwtLifetime: seconds(60) };
  await projects.updatePolicy({ projectId: stage.id, policy, updateMask: { paths: names } });
  expect(await stage.storedPolicy()).toMatchObject(policy);
});

test.each([[["*", "jwt_lifetime"]], [["*", "*"]], [[""]], [["jwtLifetime"]]])(
  "the mask %j is refused",
  async (paths) => {
    const call = projects.updatePolicy({ projectId: stage.id, updateMask: { paths } });
    expect(Object.keys(await violationsOf(call))).toEqual(["update_mask"]);
  },
);

test("a long mask of unknown paths gets a short answer", async () => {
  const paths = Array.from({ length: 1000 }, (_, i) => `unknown_${i}`);
  const call = projects.updatePolicy({ projectId: stage.id, updateMask: { paths } });
  expect(Object.keys(await violationsOf(call))).toEqual(["update_mask"]);
  const refused = await call.catch((error: unknown) => error);
  expect(ConnectError.from(refused).message.length).toBeLessThan(1000);
});

test("a client with an older version of the policy changes what it knows and resets nothing", async () => {
  const policy = { tokenReuseLeeway: seconds(3), maxSessionsPerMember: 7, jwtLifetime: seconds(60) };
  await projects.updatePolicy({ projectId: stage.id, policy });
  // The older version has only the fields 1 and 2. It reads the policy, drops the rest, and sends it back.
  const read = await stage.storedPolicy();
  const known = create(PolicySchema, {
    defaultLifetime: read.defaultLifetime,
    maxLifetime: seconds(48 * hour),
  });
  const sent = fromBinary(PolicySchema, toBinary(PolicySchema, known));
  await projects.updatePolicy({ projectId: stage.id, policy: sent });
  expect(await stage.storedPolicy()).toMatchObject({ ...policy, maxLifetime: seconds(48 * hour) });
});

test("concurrent updates of different fields on two replicas all last", async () => {
  const updates = [
    { jwtLifetime: seconds(60) },
    { maxSessionsPerMember: 5 },
    { tokenReuseLeeway: seconds(1) },
    { sessionLimitAction: SessionLimitAction.END_OLDEST },
    { defaultIdleTimeout: seconds(600) },
  ];
  await Promise.all([
    ...updates.map((policy, i) =>
      projectsOf([one, other][i % 2] ?? one).updatePolicy({ projectId: stage.id, policy }),
    ),
    projectsOf(other).updateProject({ project: { id: stage.id, displayName: "Renamed" } }),
  ]);
  expect(await stage.stored()).toMatchObject({
    displayName: "Renamed",
    policy: Object.assign({}, ...updates),
  });
});

test("default_lifetime and max_lifetime must fit each other; the field that was changed is named", async () => {
  const update = (policy: { defaultLifetime?: object; maxLifetime?: object }, paths: string[] = []) =>
    projects.updatePolicy({ projectId: stage.id, policy, updateMask: { paths } });
  expect(await violationsOf(update({ maxLifetime: seconds(hour) }))).toEqual({
    "policy.max_lifetime": "must not be shorter than default_lifetime, which is 86400 seconds",
  });
  const tooLong = { defaultLifetime: seconds(367 * 24 * hour) };
  expect(Object.keys(await violationsOf(update(tooLong)))).toEqual(["policy.default_lifetime"]);
  await update({ defaultLifetime: seconds(hour), maxLifetime: seconds(hour) });
  expect(await violationsOf(update({ defaultLifetime: seconds(hour + 1) }))).toEqual({
    "policy.default_lifetime": "must not be longer than max_lifetime",
  });
  const crossed = { defaultLifetime: seconds(3 * hour), maxLifetime: seconds(2 * hour) };
  expect(Object.keys(await violationsOf(update(crossed)))).toEqual(["policy.default_lifetime"]);

  await update({ maxLifetime: seconds(2 * hour) }, ["default_lifetime", "max_lifetime"]);
  expect(await stage.storedPolicy()).toMatchObject({ defaultLifetime: seconds(2 * hour) });
  await update({}, ["max_lifetime"]);
  expect(await stage.storedPolicy()).toMatchObject({
    defaultLifetime: seconds(2 * hour),
    maxLifetime: seconds(366 * 24 * hour),
  });
  await update({}, ["default_lifetime"]);
  expect(await stage.storedPolicy()).toMatchObject({ defaultLifetime: seconds(24 * hour) });
});

describe("over REST", () => {
  test("the body is the policy, and the query has the mask in proto or JSON names", async () => {
    const { status } = await patch(one, `${stage.id}/policy`, {
      jwt_lifetime: "60s",
      maxSessionsPerMember: 3,
    });
    expect(status).toBe(200);
    const sent = { jwtLifetime: "120s", max_lifetime: "172800s", maxSessionsPerMember: 9 };
    const masked = await patch(one, `${stage.id}/policy?update_mask=jwt_lifetime,maxLifetime`, sent);
    expect(JSON.parse(masked.text)).toMatchObject({
      project: { policy: { jwtLifetime: "120s", maxLifetime: "172800s", maxSessionsPerMember: 3 } },
    });
    expect((await patch(one, `${stage.id}/policy?updateMask=jwtLifetime`, {})).status).toBe(200);
    expect((await patch(one, `${stage.id}/policy?update_mask=`, { maxSessionsPerMember: 0 })).status).toBe(
      200,
    );
    expect(await stage.storedPolicy()).toMatchObject({ jwtLifetime: seconds(300), maxSessionsPerMember: 0 });
    expect((await patch(one, `${stage.id}/policy?update_mask=*`, {})).status).toBe(200);
    expect(secondsOf((await stage.storedPolicy()).maxLifetime)).toBe(366 * 24 * hour);
  });

  test("an empty body changes nothing, or clears what the mask names", async () => {
    await patch(one, `${stage.id}/policy`, { jwt_lifetime: "60s", defaultIdleTimeout: "60s" });
    const before = await stage.stored();
    for (const body of [undefined, {}]) {
      expect((await patch(one, `${stage.id}/policy`, body)).status).toBe(200);
    }
    expect(await stage.stored()).toEqual(before);
    expect((await patch(one, `${stage.id}/policy?update_mask=default_idle_timeout`)).status).toBe(200);
    expect(await stage.storedPolicy()).toEqual({
      ...before.policy,
      defaultIdleTimeout: undefined,
    });
  });

  test.each([
    ["policy?update_mask=jwt_lifetime,a", /update_mask: must name only/],
    ["policy?update_mask=policy.jwt_lifetime", /update_mask: must name only/],
    ["policy?update_mask=jwt_lifetime,,a", /update_mask/],
    ["policy?update_mask=jwt_lifetime&updateMask=max_lifetime", /more than once/],
    ["policy?update_mask=*,jwt_lifetime", /update_mask/],
    ["policy?mask=jwt_lifetime", /unknown parameter/],
  ])("%s is 400 and changes nothing", async (query, text) => {
    const before = await stage.stored();
    const answer = await patch(one, `${stage.id}/${query}`, { jwt_lifetime: "60s" });
    expect(answer).toEqual({ status: 400, text: expect.stringMatching(text) });
    expect(await stage.stored()).toEqual(before);
  });
});
