import { beforeEach, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { Caller, ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { newSessionToken } from "../../../src/domain/token.ts";
import { type RevocationDetails, type RevokeTarget, revoke } from "../../../src/domain/use-cases/revoke.ts";
import { rotateToken } from "../../../src/domain/use-cases/rotate-token.ts";
import { login, newEndUser, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, hour, memberId, must, organizationId } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const [ada, bob] = [memberId("ada"), memberId("bob")];
const [acme, evil] = [organizationId("acme"), organizationId("evil")];
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment, {
    roleGrants: [
      { role: "auditor", permissions: ["sessions.read"] },
      { role: "breaker", permissions: ["sessions.revoke"] },
    ],
  });
});

const revokeAs = (caller: Caller, target: RevokeTarget, why: Partial<RevocationDetails> = {}) =>
  revoke(deployment, caller, target, { cause: "unspecified", reason: "", count: false, ...why }, unlimited);
const revocationOf = async ({ projectId, id }: Session) =>
  must(await deployment.store.sessions.findSession(projectId, id)).revocation;

test.each(["id", "token", "jwt"] as const)(
  "a service ends a session by %s, and the log has the details",
  async (by) => {
    const { session, token, jwt } = await login(deployment, service);
    const target = { id: { id: session.id }, token: { token }, jwt: { jwt } }[by];
    deployment.setClock(7);
    const receipt = await revokeAs(service, target, { cause: "compromise", reason: "phished" });
    expect(receipt).toMatchObject({ time: at(7), revokedCount: 1 });
    expect(await revocationOf(session)).toEqual({
      revision: receipt.revision,
      scope: "session",
      time: at(7),
      cause: "compromise",
      reason: "phished",
      actor: `service/${service.credential.id}`,
    });
  },
);

test("an expired JWT and a replaced token still name the session to revoke", async () => {
  const [one, other] = [await login(deployment, service), await login(deployment, service)];
  await rotateToken(deployment, service, other.token, false, unlimited);
  deployment.setClock(1000 * hour);
  await revokeAs(service, { jwt: one.jwt });
  await revokeAs(service, { token: other.token });
  expect(await revocationOf(one.session)).toMatchObject({ time: at(1000 * hour) });
  expect(await revocationOf(other.session)).toMatchObject({ time: at(1000 * hour) });
});

test.each(["service", "end user"])("a %s cannot tell unknown targets from foreign ones", async (kind) => {
  const foreign = await login(deployment, await newService(deployment));
  const caller = kind === "service" ? service : await newEndUser(deployment, service);
  const targets = [
    { id: newSessionId() },
    { id: foreign.session.id },
    { token: newSessionToken(service.project.tag) },
    { token: foreign.token },
    { token: "nonsense" },
  ];
  const notFound = { reason: "SESSION_NOT_FOUND", metadata: {} };
  for (const target of targets) await expect(revokeAs(caller, target)).rejects.toMatchObject(notFound);
  expect(await revocationOf(foreign.session)).toBeUndefined();
});

test("rejects a JWT of another project and text that is not a JWT", async () => {
  const foreign = await login(deployment, await newService(deployment));
  const failure = { reason: "JWT_INVALID", metadata: { problem: "key" } };
  await expect(revokeAs(service, { jwt: foreign.jwt })).rejects.toMatchObject(failure);
  await expect(revokeAs(service, { jwt: "a.b.c" })).rejects.toMatchObject({ metadata: { problem: "form" } });
  expect(await revocationOf(foreign.session)).toBeUndefined();
});

test("an end user ends their own sessions, recorded as a logout by them", async () => {
  const user = await newEndUser(deployment, service);
  const start = () => login(deployment, service);
  const [byId, byToken, byJwt] = await Promise.all([start(), start(), start()]);
  await revokeAs(user, { id: byId.session.id });
  await revokeAs(user, { token: byToken.token });
  await revokeAs(user, { jwt: byJwt.jwt }, { cause: "compromise" });
  expect(await revocationOf(byId.session)).toMatchObject({ cause: "logout", actor: "member/ada" });
  expect(await revocationOf(byToken.session)).toMatchObject({ cause: "logout", actor: "member/ada" });
  expect(await revocationOf(byJwt.session)).toMatchObject({ cause: "compromise", actor: "member/ada" });
  expect(await revocationOf(user.session)).toBeUndefined();
});

test("an end user ends another member's session only with a grant to revoke within their organization", async () => {
  const auditor = await newEndUser(deployment, service, { organizationId: acme, roles: ["auditor"] });
  const breaker = await newEndUser(deployment, service, { organizationId: acme, roles: ["breaker"] });
  const colleague = await login(deployment, service, { memberId: bob, organizationId: acme });
  const stranger = await login(deployment, service, { memberId: bob, organizationId: evil });
  const refused = [
    [auditor, { id: colleague.session.id }],
    [auditor, { token: colleague.token }],
    [breaker, { id: stranger.session.id }],
    [breaker, { jwt: stranger.jwt }],
    [breaker, { token: stranger.token }],
  ] as const;
  for (const [caller, target] of refused) {
    const failure = { reason: "SESSION_NOT_FOUND", metadata: {} };
    await expect(revokeAs(caller, target)).rejects.toMatchObject(failure);
  }
  expect(await revocationOf(stranger.session)).toBeUndefined();
  await revokeAs(breaker, { id: colleague.session.id });
  expect(await revocationOf(colleague.session)).toMatchObject({ scope: "session", actor: "member/ada" });
});

test("a service ends all sessions of a member, who may have none", async () => {
  const { session } = await login(deployment, service);
  await login(deployment, service);
  expect(await revokeAs(service, { memberId: ada }, { count: true })).toMatchObject({ revokedCount: 2 });
  expect(await revocationOf(session)).toMatchObject({ scope: "member" });
  const none = await revokeAs(service, { memberId: memberId("nobody") }, { count: true });
  expect(none).toMatchObject({ revision: 2, revokedCount: 0 });
});

test("an end user ends all sessions of themselves, or of a member who is entirely within their grant", async () => {
  const breaker = await newEndUser(deployment, service, { organizationId: acme, roles: ["breaker"] });
  const plain = await newEndUser(deployment, service, { organizationId: acme });
  const loner = await newEndUser(deployment, service, { roles: ["breaker"] });
  const colleague = await login(deployment, service, { memberId: bob, organizationId: acme });
  await login(deployment, service, { memberId: memberId("eve"), organizationId: evil });
  await login(deployment, service, { memberId: memberId("two"), organizationId: acme });
  await login(deployment, service, { memberId: memberId("two"), organizationId: evil });
  const refused = [
    [plain, bob],
    [loner, bob],
    [breaker, memberId("eve")],
    [breaker, memberId("two")],
    [breaker, memberId("nobody")],
  ] as const;
  for (const [caller, id] of refused) {
    await expect(revokeAs(caller, { memberId: id })).rejects.toMatchObject({ reason: "CALLER_NOT_ALLOWED" });
  }
  await revokeAs(breaker, { memberId: bob });
  expect(await revocationOf(colleague.session)).toMatchObject({ scope: "member", actor: "member/ada" });
  await revokeAs(plain, { memberId: ada });
  expect(await revocationOf(plain.session)).toMatchObject({ scope: "member", cause: "logout" });
});
