import { beforeAll, describe, expect, test } from "vitest";
import { type Answer, type Issued, attackTarget } from "./target.ts";

const target = attackTarget();
const unknown = "01900000-0000-7000-8000-000000000000";

interface Sessions {
  readonly own: Issued;
  readonly other: Issued;
  readonly colleague: Issued;
  readonly rival: Issued;
  readonly foreign: Issued;
}
let sessions: Sessions;
/** Ends users with a role that may read and revoke within its organization. */
let admin: Issued;

beforeAll(async () => {
  const roleGrants = [{ role: "admin", permissions: ["sessions.read", "sessions.revoke"] }];
  const policy = { projectId: "home", policy: { roleGrants } };
  await target.call("ProjectService/UpdatePolicy", policy);
  sessions = await fresh();
  admin = await target.createSession({ memberId: "boss", organizationId: "acme", roles: ["admin"] });
});

async function fresh(): Promise<Sessions> {
  const create = (memberId: string, organizationId: string) =>
    target.createSession({ memberId, organizationId, roles: ["user"] });
  return {
    own: await create("alice", "acme"),
    other: await create("alice", "acme"),
    colleague: await create("bob", "acme"),
    rival: await create("eve", "other"),
    foreign: await target.createSession({ memberId: "alice", organizationId: "acme" }, target.foreign),
  };
}

type Call = (headers: Record<string, string>, id: string) => Promise<Answer>;
const calls: Record<string, Call> = {
  Get: (headers, id) => target.send("POST", "/session.v1.SessionService/Get", { headers, body: { id } }),
  Revoke: (headers, id) =>
    target.send("POST", "/session.v1.SessionService/Revoke", { headers, body: { id } }),
  "REST get": (headers, id) => target.send("GET", `/session/v1/sessions/${id}`, { headers }),
  "REST revoke": (headers, id) => target.send("POST", `/session/v1/sessions/${id}:revoke`, { headers }),
  "Flashback revoke": (headers, id) => target.send("POST", `/sessions/${id}/revoke`, { headers }),
  "Kratos disable": (headers, id) => target.send("DELETE", `/auth/sessions/${id}`, { headers }),
};

/** An answer without what is fresh in each. */
function lasting({ status, headers, text }: Answer): unknown {
  const kept = [...headers].filter(([name]) => !["x-request-id", "date", "keep-alive"].includes(name));
  return [status, kept, text.replaceAll(/request-id-test-[0-9a-f-]{36}/g, "")];
}

describe.each(Object.entries(calls))("%s by an end user", (name, call) => {
  test.each(["colleague", "rival", "foreign"] as const)(
    "tells %s's session from an unknown one in nothing",
    async (whose) => {
      const headers = { authorization: `Bearer ${sessions.own.token}` };
      expect(lasting(await call(headers, sessions[whose].id))).toEqual(lasting(await call(headers, unknown)));
      expect(await stateOf(sessions[whose], whose)).toBe("SESSION_STATE_ACTIVE");
    },
  );

  test("reaches another session of the same member", async () => {
    const { other } = await fresh();
    const answer = await call({ authorization: `Bearer ${sessions.own.token}` }, other.id);
    expect(answer.status).toBe(name === "Kratos disable" ? 204 : 200);
  });

  test("with a granted role reaches what the policy says in this API and no further", async () => {
    const { colleague, rival, foreign } = await fresh();
    const headers = { authorization: `Bearer ${admin.token}` };
    const isOwnOnly = name.startsWith("Flashback") || name.startsWith("Kratos");
    const nobody = lasting(await call(headers, unknown));
    const reached = await call(headers, colleague.id);
    expect(isOwnOnly ? lasting(reached) : reached.status).toEqual(isOwnOnly ? nobody : 200);
    expect(lasting(await call(headers, rival.id))).toEqual(nobody);
    expect(lasting(await call(headers, foreign.id))).toEqual(nobody);
    expect(await stateOf(rival, "rival")).toBe("SESSION_STATE_ACTIVE");
    expect(await stateOf(foreign, "foreign")).toBe("SESSION_STATE_ACTIVE");
  });
});

describe.each([
  ["Get", "id"],
  ["Extend", "id"],
  ["Revoke", "id"],
  ["Revoke", "token"],
  ["Revoke", "jwt"],
  ["Authenticate", "token"],
  ["Authenticate", "jwt"],
] as const)("%s by %s of a service", (method, by) => {
  test("tells another project's session from an unknown one in nothing", async () => {
    const call = (value: string) => target.call(`SessionService/${method}`, { [by]: value });
    const { foreign } = sessions;
    const absent = await target.createSession({ memberId: "mallory" }, target.foreign);
    const nobodys = { id: unknown, token: `sst_${"A".repeat(51)}`, jwt: absent.jwt };
    const answer = await call(foreign[by]);
    expect(lasting(answer)).toEqual(lasting(await call(nobodys[by])));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await stateOf(foreign, "foreign")).toBe("SESSION_STATE_ACTIVE");
  });
});

describe.each(["/v1/sessions/revoke", "/v1/b2b/sessions/revoke"])("%s", (path) => {
  test.each(["session_id", "session_token"])(
    "by %s tells another project's session from an unknown one in nothing",
    async (by) => {
      const field = path.includes("b2b") && by === "session_id" ? "member_session_id" : by;
      const call = (value: string) =>
        target.send("POST", path, {
          headers: { authorization: target.home.basic },
          body: { [field]: value },
        });
      const [theirs, nobodys] =
        by === "session_id"
          ? [sessions.foreign.id, unknown]
          : [sessions.foreign.token, `sst_${"A".repeat(51)}`];
      expect(lasting(await call(theirs))).toEqual(lasting(await call(nobodys)));
      expect(await stateOf(sessions.foreign, "foreign")).toBe("SESSION_STATE_ACTIVE");
    },
  );
});

test("revoking a member, an organization or a project ends nothing of another project", async () => {
  const scopes = [{ memberId: "alice" }, { organizationId: "acme" }, { project: true }];
  const { other } = await fresh();
  for (const scope of scopes) {
    const answer = await target.call(
      "SessionService/RevokeAll",
      { ...scope, count: true, exceptSessionId: sessions.foreign.id },
      { authorization: target.foreign.basic },
    );
    expect(answer.status).toBe(200);
    expect(await stateOf(other, "other")).toBe("SESSION_STATE_ACTIVE");
  }
});

test.each([
  { memberId: "bob" },
  { organizationId: "acme" },
  { project: true },
  { organizationId: "acme", validateOnly: true },
])("an end user may not revoke all of %o", async (scope) => {
  const { own, colleague } = await fresh();
  for (const { token } of [own, admin]) {
    const headers = { authorization: `Bearer ${token}` };
    expect(await target.call("SessionService/RevokeAll", scope, headers)).toMatchObject({ status: 403 });
  }
  expect(await stateOf(colleague, "colleague")).toBe("SESSION_STATE_ACTIVE");
});

test("an end user revokes a member by id only within the organization that the role was granted in", async () => {
  const { own, rival } = await fresh();
  const revoke = (memberId: string, token: string) =>
    target.call("SessionService/Revoke", { memberId }, { authorization: `Bearer ${token}` });
  const refusals = [
    await revoke("bob", own.token),
    await revoke("eve", admin.token),
    await revoke("nobody", admin.token),
  ];
  for (const answer of refusals) expect(lasting(answer)).toEqual(lasting(refusals[0] ?? answer));
  expect(refusals[0]).toMatchObject({ status: 403 });
  expect(await stateOf(rival, "rival")).toBe("SESSION_STATE_ACTIVE");
  // In two organizations at once: whoever administers one of them must not end what belongs to the other.
  await target.createSession({ memberId: "both", organizationId: "acme" });
  await target.createSession({ memberId: "both", organizationId: "other" });
  expect(await revoke("both", admin.token)).toMatchObject({ status: 403 });
  await target.createSession({ memberId: "dave", organizationId: "acme" });
  expect(await revoke("dave", admin.token)).toMatchObject({ status: 200 });
});

test("an end user lists nobody else", async () => {
  const { own } = await fresh();
  const list = (filter: object, token: string) =>
    target.call("SessionService/List", filter, { authorization: `Bearer ${token}` });
  expect(await list({ memberId: "bob" }, own.token)).toMatchObject({ status: 403 });
  expect(await list({ organizationId: "acme" }, own.token)).toMatchObject({ status: 403 });
  expect(await list({ organizationId: "other" }, admin.token)).toMatchObject({ status: 403 });
  expect((await list({ memberId: "eve" }, admin.token)).json.sessions ?? []).toEqual([]);
  const { json } = await list({}, own.token);
  expect(new Set(json.sessions.map((one: { memberId: string }) => one.memberId))).toEqual(new Set(["alice"]));
});

test("a page token of one list opens no other", async () => {
  for (let i = 0; i < 3; i++) await target.createSession({ memberId: "pages" });
  const first = await target.call("SessionService/List", { memberId: "pages", pageSize: 1 });
  const { nextPageToken } = first.json;
  const raw = Buffer.from(nextPageToken, "base64url");
  const forged = [
    `${nextPageToken}A`,
    nextPageToken.slice(0, -1),
    Buffer.from(raw.map((byte, i) => (i === raw.length - 1 ? byte ^ 1 : byte))).toString("base64url"),
    "A".repeat(10_000),
    "../../etc",
  ];
  for (const pageToken of forged) {
    expect(await target.call("SessionService/List", { memberId: "pages", pageToken })).toMatchObject({
      status: 400,
    });
  }
  expect(
    await target.call("SessionService/List", { memberId: "alice", pageToken: nextPageToken }),
  ).toMatchObject({
    status: 400,
  });
  const elsewhere = await target.call(
    "SessionService/List",
    { memberId: "pages", pageToken: nextPageToken },
    { authorization: target.foreign.basic },
  );
  expect(elsewhere.json.sessions ?? []).toEqual([]);
});

test.each([-1, -2_147_483_648])("a page size of %i is refused", async (pageSize) => {
  expect(await target.call("SessionService/List", { memberId: "a", pageSize })).toMatchObject({
    status: 400,
  });
});

test.each([1, 1001, 2_147_483_647])("a page size of %i is served", async (pageSize) => {
  const { json } = await target.call("SessionService/List", { organizationId: "acme", pageSize });
  expect(json.sessions.length).toBeLessThanOrEqual(Math.min(pageSize, 1000));
});

async function stateOf({ id }: Issued, whose: string): Promise<unknown> {
  const { basic } = whose === "foreign" ? target.foreign : target.home;
  const { json } = await target.call("SessionService/Get", { id }, { authorization: basic });
  return json.session.state;
}
