import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { beforeAll, expect, test } from "vitest";
import { type Issued, attackTarget } from "./target.ts";

// What an authorized caller can reach by lists and scopes. test/api/authorization covers each method by each caller and target.

const target = await attackTarget();
/** An end user with a role that may read and revoke within their organization. */
let admin: Issued;

beforeAll(async () => {
  const roleGrants = [{ role: "admin", permissions: [Permission.SESSIONS_READ, Permission.SESSIONS_REVOKE] }];
  await target.call("ProjectService/UpdatePolicy", { projectId: "home", policy: { roleGrants } });
  admin = await target.createSession({ memberId: "boss", organizationId: "acme", roles: ["admin"] });
});

test.each([{ memberId: "alice" }, { organizationId: "acme" }, { project: {} }])(
  "RevokeAll of %o does not reach the same ids in another project",
  async (scope) => {
    const session = await target.createSession({ memberId: "alice", organizationId: "acme" });
    const { id } = await target.createSession({ memberId: "alice", organizationId: "acme" }, target.foreign);
    const request = { ...scope, countRevoked: true, exceptSessionId: id };
    const authorization = target.foreign.basic;
    expect(await target.call("SessionService/RevokeAll", request, { authorization })).toMatchObject({
      status: 200,
    });
    expect(await target.stateOf(session)).toBe("SESSION_STATE_ACTIVE");
  },
);

test("an administrator of one organization does not revoke a member who is in two", async () => {
  const revoke = (memberId: string) =>
    target.call("SessionService/Revoke", { memberId }, { authorization: `Bearer ${admin.token}` });
  await target.createSession({ memberId: "both", organizationId: "acme" });
  await target.createSession({ memberId: "both", organizationId: "other" });
  expect(await revoke("both")).toMatchObject({ status: 403 });
  await target.createSession({ memberId: "dave", organizationId: "acme" });
  expect(await revoke("dave")).toMatchObject({ status: 200 });
});

test("an end user lists only their own sessions, an administrator none of another organization", async () => {
  const own = await target.createSession({ memberId: "bob", organizationId: "acme" });
  await target.createSession({ memberId: "eve", organizationId: "other" });
  const list = async (filter: object, token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const { json } = await target.call("SessionService/List", filter, headers);
    return (json.sessions ?? []).map((session: { memberId: string }) => session.memberId);
  };
  expect(await list({}, own.token)).toEqual(["bob"]);
  expect(await list({ memberId: "bob" }, admin.token)).toEqual(["bob"]);
  expect(await list({ memberId: "eve" }, admin.token)).toEqual([]);
});

test("a page token of one list opens no other", async () => {
  for (let i = 0; i < 3; i++) await target.createSession({ memberId: "pages" });
  const list = (request: object, authorization = target.home.basic) =>
    target.call("SessionService/List", request, { authorization });
  const { nextPageToken } = (await list({ memberId: "pages", pageSize: 1 })).json;
  const raw = Buffer.from(nextPageToken, "base64url");
  const otherList = { memberId: "alice", pageToken: nextPageToken };
  const forged = [
    `${nextPageToken}A`,
    nextPageToken.slice(0, -1),
    Buffer.from(raw.map((byte, i) => (i === raw.length - 1 ? byte ^ 1 : byte))).toString("base64url"),
    "A".repeat(10_000),
    "../../etc",
  ];
  for (const request of [otherList, ...forged.map((pageToken) => ({ memberId: "pages", pageToken }))]) {
    expect(await list(request)).toMatchObject({ status: 400 });
  }
  const abroad = await list({ memberId: "pages", pageToken: nextPageToken }, target.foreign.basic);
  expect(abroad.json.sessions ?? []).toEqual([]);
});

test.each([-1, -2_147_483_648])("rejects a page size of %i", async (pageSize) => {
  expect(await target.call("SessionService/List", { memberId: "a", pageSize })).toMatchObject({
    status: 400,
  });
});

test.each([1, 1001, 2_147_483_647])("serves a page size of %i", async (pageSize) => {
  const { json } = await target.call("SessionService/List", { organizationId: "acme", pageSize });
  expect(json.sessions.length).toBeLessThanOrEqual(Math.min(pageSize, 1000));
});
