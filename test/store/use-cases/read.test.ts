import { beforeEach, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { Caller, ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import { newSessionId } from "../../../src/domain/ids.ts";
import { type ListSessions, getSession, listSessions } from "../../../src/domain/use-cases/read-sessions.ts";
import { login, newEndUser, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { memberId, organizationId, revokeTarget } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const [bob, acme, evil] = [memberId("bob"), organizationId("acme"), organizationId("evil")];
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment, {
    roleGrants: [
      { role: "auditor", permissions: ["sessions.read"] },
      { role: "breaker", permissions: ["sessions.revoke"] },
    ],
  });
});

const get = (caller: Caller, id = newSessionId()) => getSession(deployment, caller, id, unlimited);
const list = async (caller: Caller, command: Partial<ListSessions> = {}) => {
  const none = { memberId: undefined, organizationId: undefined, state: undefined };
  const whole = { ...none, pageSize: 0, pageToken: "", ...command };
  const page = await listSessions(deployment, caller, whole, unlimited);
  return { ids: page.sessions.map(({ id }) => id), token: page.nextPageToken };
};
const invalid = (field: string) => ({ reason: "FIELD_INVALID", violations: [{ field }] });
const sessionOf = async (overrides: Parameters<typeof login>[2] = {}) =>
  (await login(deployment, service, overrides)).session;

test("a service gets every session of its project, active or not, and no others", async () => {
  const session = await sessionOf();
  expect(await get(service, session.id)).toEqual(session);
  await revokeTarget(deployment.store, service.project, { scope: "project" });
  expect((await get(service, session.id)).revocation?.scope).toBe("project");
  const foreign = await login(deployment, await newService(deployment));
  for (const id of [foreign.session.id, newSessionId()]) {
    await expect(get(service, id)).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND", metadata: {} });
  }
});

test("an end user gets their own sessions, and others only with a grant within their organization", async () => {
  const ada = await newEndUser(deployment, service, { organizationId: acme, roles: ["breaker"] });
  const auditor = await newEndUser(deployment, service, { organizationId: acme, roles: ["auditor"] });
  const own = await sessionOf({ organizationId: evil });
  const colleague = await sessionOf({ memberId: bob, organizationId: acme });
  const stranger = await sessionOf({ memberId: bob, organizationId: evil });
  const loner = await sessionOf({ memberId: bob });
  expect(await get(ada, own.id)).toEqual(own);
  expect(await get(auditor, colleague.id)).toEqual(colleague);
  const outOfReach = [
    [ada, colleague],
    [ada, stranger],
    [auditor, stranger],
    [auditor, loner],
  ] as const;
  for (const [caller, { id }] of outOfReach) {
    await expect(get(caller, id)).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND", metadata: {} });
  }
});

test("a service must name a member or an organization to list sessions", async () => {
  await expect(list(service)).rejects.toMatchObject(invalid("member_id"));
  const [one, other] = [await sessionOf({ organizationId: acme }), await sessionOf({ memberId: bob })];
  expect((await list(service, { organizationId: acme })).ids).toEqual([one.id]);
  expect((await list(service, { memberId: bob })).ids).toEqual([other.id]);
  expect((await list(service, { memberId: bob, organizationId: acme })).ids).toEqual([]);
  expect((await list(service, { memberId: bob, state: "revoked" })).ids).toEqual([]);
});

test("pages through a list, and a page token is valid only for its list", async () => {
  const ids = [await sessionOf(), await sessionOf(), await sessionOf()].map(({ id }) => id).toReversed();
  const ada = { memberId: memberId("ada"), pageSize: 2 };
  const first = await list(service, ada);
  expect(first.ids).toEqual(ids.slice(0, 2));
  expect(await list(service, { ...ada, pageToken: first.token })).toEqual({ ids: ids.slice(2), token: "" });
  const pageToken = first.token;
  const foreign = await newService(deployment);
  const others = [
    [service, { memberId: bob }],
    [service, { ...ada, organizationId: acme }],
    [service, { ...ada, state: "active" }],
    [foreign, ada],
  ] as const;
  for (const [caller, command] of others) {
    await expect(list(caller, { ...command, pageToken })).rejects.toMatchObject(invalid("page_token"));
  }
});

test("an end user lists their own sessions, named or not", async () => {
  const ada = await newEndUser(deployment, service, { organizationId: acme });
  const other = await sessionOf();
  await sessionOf({ memberId: bob, organizationId: acme });
  const own = [other.id, ada.session.id];
  expect((await list(ada)).ids).toEqual(own);
  expect((await list(ada, { memberId: memberId("ada") })).ids).toEqual(own);
  const within = { memberId: memberId("ada"), organizationId: acme };
  expect((await list(ada, within)).ids).toEqual([ada.session.id]);
});

test("lists other members' sessions only with a grant, within the organization", async () => {
  const plain = await newEndUser(deployment, service, { organizationId: acme, roles: ["breaker"] });
  const auditor = await newEndUser(deployment, service, { organizationId: acme, roles: ["auditor"] });
  const loner = await newEndUser(deployment, service, { roles: ["auditor"] });
  const colleague = await sessionOf({ memberId: bob, organizationId: acme });
  await sessionOf({ memberId: bob, organizationId: evil });
  await sessionOf({ memberId: bob });
  expect((await list(auditor, { memberId: bob })).ids).toEqual([colleague.id]);
  const all = [colleague.id, auditor.session.id, plain.session.id];
  expect((await list(auditor, { organizationId: acme })).ids).toEqual(all);
  const refused = [
    [plain, { memberId: bob }],
    [plain, { organizationId: acme }],
    [auditor, { organizationId: evil }],
    [auditor, { memberId: bob, organizationId: evil }],
    [loner, { memberId: bob }],
    [loner, { organizationId: acme }],
  ] as const;
  for (const [caller, command] of refused) {
    await expect(list(caller, command)).rejects.toMatchObject({ reason: "CALLER_NOT_ALLOWED" });
  }
});
