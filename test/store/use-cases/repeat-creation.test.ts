import { randomBytes } from "node:crypto";
import { expect, test, vi } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import { parseRequestId } from "../../../src/domain/ids.ts";
import { masterKeyOf } from "../../../src/domain/keys/sealing.ts";
import { authenticate } from "../../../src/domain/use-cases/authenticate.ts";
import type { CreateSession } from "../../../src/domain/use-cases/create-session.ts";
import { rotateToken } from "../../../src/domain/use-cases/rotate-token.ts";
import { patience } from "../../support/patience.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, hour, memberId, must, organizationId, revokeTarget } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const requestId = must(parseRequestId("one-login"));
const factor = { method: "password", deliveryMethod: "knowledge", assuranceLevel: "aal1" };
const fields: Partial<CreateSession> = {
  requestId,
  organizationId: organizationId("acme"),
  device: { userAgent: "Firefox", ipAddress: "192.0.2.1" },
  authenticationFactors: [{ ...factor, authenticateTime: at(-5) }],
  roles: ["admin", "user"],
  customClaims: { plan: "gold", nested: { a: [1, { b: null, c: 0 }], z: "" } },
  lifetime: hour,
  idleTimeout: 60_000,
};
const byToken = (service: ServiceCaller, token: string) =>
  authenticate(deployment, service.project, { token }, false, unlimited);

test("a repeat returns the same session and token, with a new JWT", async () => {
  const service = await newService(deployment);
  const first = await login(deployment, service, fields);
  deployment.setClock(30_000);
  const repeat = await login(deployment, service, fields);
  expect(repeat.session).toEqual({
    ...first.session,
    lastAccessTime: at(30_000),
    idleExpireTime: at(60_000),
  });
  expect(repeat.token).toBe(first.token);
  expect(repeat.jwt).not.toBe(first.jwt);
  const { session } = await authenticate(deployment, service.project, repeat, false, unlimited);
  expect(session.id).toBe(first.session.id);
});

test("a repeat counts as an access of the session", async () => {
  const service = await newService(deployment);
  const { session, token } = await login(deployment, service, fields);
  deployment.setClock(50_000);
  await login(deployment, service, fields);
  await vi.waitUntil(async () => {
    const found = await deployment.store.sessions.findSession(service.project.id, session.id);
    return found?.lastAccessTime.getTime() === at(50_000).getTime();
  }, patience);
  deployment.setClock(100_000);
  expect((await byToken(service, token)).session.id).toBe(session.id);
});

test("claims may come in another order, as clients write maps", async () => {
  const service = await newService(deployment);
  const { token } = await login(deployment, service, fields);
  const customClaims = { nested: { z: "", a: [1, { c: 0, b: null }] }, plan: "gold" };
  expect((await login(deployment, service, { ...fields, customClaims })).token).toBe(token);
});

test.for<[string, Partial<CreateSession>]>([
  ["member", { memberId: memberId("bob") }],
  ["organization", { organizationId: undefined }],
  ["user agent", { device: { userAgent: "", ipAddress: "192.0.2.1" } }],
  ["address", { device: { userAgent: "Firefox", ipAddress: "" } }],
  ["time of a factor", { authenticationFactors: [{ ...factor, authenticateTime: undefined }] }],
  ["number of factors", { authenticationFactors: [] }],
  ["order of roles", { roles: ["user", "admin"] }],
  ["form of roles", { roles: ["admin,user"] }],
  ["claims", { customClaims: { plan: "gold", nested: { a: [1, { c: 0 }], z: "" } } }],
  ["no lifetime", { lifetime: undefined }],
  ["idle timeout", { idleTimeout: 60_001 }],
])("another %s with the same request id is refused, and creates nothing", async ([, other]) => {
  const service = await newService(deployment);
  await login(deployment, service, fields);
  await expect(login(deployment, service, { ...fields, ...other })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "request_id", description: expect.stringContaining("other fields") }],
  });
  const members = [memberId("ada"), memberId("bob")];
  const counts = members.map((id) =>
    deployment.store.revocations.countActive(service.project.id, { scope: "member", id }, at(0), unlimited),
  );
  expect(await Promise.all(counts)).toEqual([1, 0]);
});

test("a default that has changed since is no difference", async () => {
  const service = await newService(deployment, { defaultLifetime: 2 * hour });
  const first = await login(deployment, service, { requestId });
  const policy = { ...service.project.policy, defaultLifetime: hour };
  const changed = { ...service, project: { ...service.project, policy } };
  const repeat = await login(deployment, changed, { requestId });
  expect([repeat.token, repeat.session.expireTime]).toEqual([first.token, at(2 * hour)]);
});

test("a repeat for a session that has ended fails with its state, and creates none", async () => {
  const service = await newService(deployment);
  const { session } = await login(deployment, service, fields);
  const repeat = () => login(deployment, service, fields);
  const notActive = (state: string) => ({ reason: "SESSION_NOT_ACTIVE", metadata: { state } });
  deployment.setClock(60_000);
  await expect(repeat()).rejects.toMatchObject(notActive("idle_expired"));
  deployment.setClock(hour);
  await expect(repeat()).rejects.toMatchObject(notActive("expired"));
  deployment.setClock(0);
  await revokeTarget(deployment.store, service.project, { scope: "session", id: session.id });
  await expect(repeat()).rejects.toMatchObject(notActive("revoked"));
});

test("a repeat after the token was rotated fails, and is no reuse of the token", async () => {
  const service = await newService(deployment, { tokenReuseAction: "revoke", tokenReuseLeeway: 0 });
  const first = await login(deployment, service, fields);
  const { token } = await rotateToken(deployment, service, first.token, false, unlimited);
  await expect(login(deployment, service, fields)).rejects.toMatchObject({ reason: "TOKEN_REPLACED" });
  expect((await byToken(service, token)).session.id).toBe(first.session.id);
});

test("a repeat does not count against the limit, nor end a session", async () => {
  for (const sessionLimitAction of ["refuse", "end_oldest"] as const) {
    const service = await newService(deployment, { maxSessionsPerMember: 1, sessionLimitAction });
    const first = await login(deployment, service, fields);
    expect((await login(deployment, service, fields)).token).toBe(first.token);
    expect((await byToken(service, first.token)).session.id).toBe(first.session.id);
    const { head } = await deployment.store.revocations.readRevocations(service.project.id, 0, 1);
    expect(head.revision).toBe(0);
  }
});

test("another project with the same request id gets its own session", async () => {
  const [one, other] = [await newService(deployment), await newService(deployment)];
  const [first, foreign] = [await login(deployment, one, fields), await login(deployment, other, fields)];
  expect(foreign.session.id).not.toBe(first.session.id);
  expect((await login(deployment, other, fields)).token).toBe(foreign.token);
});

test("the database holds no token in plain text, and needs the master key to return one", async () => {
  const service = await newService(deployment);
  const { session, token } = await login(deployment, service, fields);
  const { sealed_token: sealed } = await deployment.opened.db
    .selectFrom("creation_requests")
    .select("sealed_token")
    .where("session_id", "=", session.id)
    .executeTakeFirstOrThrow();
  for (const form of [token, token.slice(4), Buffer.from(token.slice(12), "base64url")]) {
    expect(sealed.includes(form)).toBe(false);
  }
  const rotated = { current: masterKeyOf(randomBytes(32)), accepted: [deployment.masterKeys.current] };
  const repeat = (masterKeys: typeof rotated) => login({ ...deployment, masterKeys }, service, fields);
  expect((await repeat(rotated)).token).toBe(token);
  await expect(repeat({ ...rotated, accepted: [] })).rejects.toThrow("SESSIOND_MASTER_KEYS_ACCEPTED");
});
