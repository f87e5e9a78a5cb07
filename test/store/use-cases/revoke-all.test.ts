import { beforeEach, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { Caller, ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { authenticate } from "../../../src/domain/use-cases/authenticate.ts";
import { type RevokeAll, type RevokeAllScope, revokeAll } from "../../../src/domain/use-cases/revoke-all.ts";
import { login, newEndUser, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, memberId, must, organizationId } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const [ada, bob, acme] = [memberId("ada"), memberId("bob"), organizationId("acme")];
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment, {
    roleGrants: [{ role: "admin", permissions: ["sessions.read", "sessions.revoke"] }],
  });
});

const revokeAllAs = (caller: Caller, scope: RevokeAllScope, how: Partial<RevokeAll> = {}) => {
  const details = { cause: "unspecified", reason: "", count: true } as const;
  const command = { scope, except: undefined, validateOnly: false, ...details, ...how };
  return revokeAll(deployment, caller, command, unlimited);
};
const revocationOf = async ({ projectId, id }: Session) =>
  must(await deployment.store.sessions.findSession(projectId, id)).revocation;

test.for<[scope: RevokeAllScope, count: number]>([
  [{ scope: "member", id: ada }, 2],
  [{ scope: "organization", id: acme }, 2],
  [{ scope: "project" }, 3],
])(
  "a service counts the sessions in a scope, revokes nothing, and then ends them: %j",
  async ([scope, count]) => {
    await login(deployment, service);
    await login(deployment, service, { organizationId: acme });
    await login(deployment, service, { memberId: bob, organizationId: acme });
    const foreign = await login(deployment, await newService(deployment), { organizationId: acme });
    deployment.setClock(5);

    const counted = await revokeAllAs(service, scope, { validateOnly: true });
    expect(counted).toEqual({ revision: undefined, time: undefined, revokedCount: count });
    expect(await revokeAllAs(service, scope)).toEqual({ revision: 1, time: at(5), revokedCount: count });
    expect(await revokeAllAs(service, scope, { validateOnly: true })).toMatchObject({ revokedCount: 0 });
    expect(await revocationOf(foreign.session)).toBeUndefined();
  },
);

test("counts only if requested", async () => {
  const receipt = await revokeAllAs(service, { scope: "project" }, { count: false });
  expect(receipt).toMatchObject({ revokedCount: undefined });
});

test("an end user ends all their sessions except the current one", async () => {
  const user = await newEndUser(deployment, service);
  const { session, token } = await login(deployment, service);
  const other = await login(deployment, service, { memberId: bob });
  const except = user.session.id;
  for (const validateOnly of [true, false]) {
    const outcome = await revokeAllAs(user, { scope: "self" }, { except, validateOnly });
    expect(outcome).toMatchObject({ revokedCount: 1 });
  }
  const byToken = authenticate(deployment, service.project, { token }, false, unlimited);
  await expect(byToken).rejects.toMatchObject({ reason: "SESSION_REVOKED_BY_CUTOFF" });
  const revocation = { scope: "member", cause: "logout", actor: "member/ada" };
  expect(await revocationOf(session)).toMatchObject(revocation);
  expect(await revocationOf(user.session)).toBeUndefined();
  expect(await revocationOf(other.session)).toBeUndefined();
  await revokeAllAs(user, { scope: "member", id: ada });
  expect(await revocationOf(user.session)).toMatchObject({ scope: "member", revision: 2 });
});

test.each<RevokeAllScope>([
  { scope: "member", id: bob },
  { scope: "organization", id: acme },
  { scope: "project" },
])("an end user cannot revoke $scope beyond themselves, regardless of roles", async (scope) => {
  const admin = await newEndUser(deployment, service, { organizationId: acme, roles: ["admin"] });
  await login(deployment, service, { memberId: bob, organizationId: acme });
  const failure = { reason: "CALLER_NOT_ALLOWED" };
  await expect(revokeAllAs(admin, scope)).rejects.toMatchObject(failure);
  await expect(revokeAllAs(admin, scope, { validateOnly: true })).rejects.toMatchObject(failure);
  const { revocations } = deployment.store;
  expect(await revocations.countActive(service.project.id, { scope: "project" }, at(0))).toBe(2);
});

test("a session outside of the scope cannot be exempted", async () => {
  const user = await newEndUser(deployment, service);
  const bobs = await login(deployment, service, { memberId: bob });
  await revokeAllAs(user, { scope: "self" }, { except: bobs.session.id });
  expect(await revocationOf(user.session)).toBeDefined();
  await revokeAllAs(service, { scope: "member", id: bob });
  expect(await revocationOf(bobs.session)).toMatchObject({ revision: 2 });
});

test("a service cannot use scope self", async () => {
  await expect(revokeAllAs(service, { scope: "self" })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "self" }],
  });
});

test("a login in flight during a revoke-all is revoked too", async () => {
  const logins = Array.from({ length: 10 }, () => login(deployment, service));
  const ending = revokeAllAs(service, { scope: "member", id: ada }, { count: false });
  const [begun, receipt] = [await Promise.all(logins), await ending];
  const late = await login(deployment, service);
  for (const { session } of begun) {
    const dead = (await revocationOf(session)) !== undefined;
    expect(dead).toBe(session.createdRevision < must(receipt.revision));
  }
  expect(await revocationOf(late.session)).toBeUndefined();
});
