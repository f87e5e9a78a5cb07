import { decodeJwt } from "jose";
import { expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import { newSessionId } from "../../../src/domain/ids.ts";
import { extendSession } from "../../../src/domain/use-cases/create-session.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, disableProject, hour, revokeTarget } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const tooLong = { reason: "FIELD_INVALID", violations: [{ field: "lifetime" }] };

test("the policy supplies defaults of the login", async () => {
  const service = await newService(deployment, { defaultLifetime: 2 * hour, defaultIdleTimeout: hour });
  const factor = { method: "password", deliveryMethod: "knowledge", assuranceLevel: "aal1" };
  const authenticationFactors = [undefined, at(-7)].map((time) => ({ ...factor, authenticateTime: time }));
  const { session } = await login(deployment, service, { authenticationFactors });
  expect(session).toMatchObject({
    createTime: at(0),
    lastAccessTime: at(0),
    expireTime: at(2 * hour),
    idleTimeout: hour,
    authenticationFactors: [{ authenticateTime: at(0) }, { authenticateTime: at(-7) }],
  });
  expect(await deployment.store.sessions.findSession(service.project.id, session.id)).toEqual(session);
});

test("the login may override defaults up to the policy's bound", async () => {
  const service = await newService(deployment, { maxLifetime: hour, defaultIdleTimeout: hour });
  const { session, jwt } = await login(deployment, service, { lifetime: hour, idleTimeout: 20_000 });
  expect(session).toMatchObject({ expireTime: at(hour), idleTimeout: 20_000 });
  expect(decodeJwt(jwt).exp).toBe(at(20_000).getTime() / 1000);
  await expect(login(deployment, service, { lifetime: hour + 1 })).rejects.toMatchObject(tooLong);
});

test("a default lifetime beyond the bound is shortened to it", async () => {
  const service = await newService(deployment, { defaultLifetime: 5 * hour, maxLifetime: hour });
  expect((await login(deployment, service)).session.expireTime).toEqual(at(hour));
});

test("rejects a login in a project that was disabled after its caller was authenticated", async () => {
  const service = await newService(deployment);
  await disableProject(deployment.store, service.project, at(0));
  await expect(login(deployment, service)).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
});

test("extending sets the end to a lifetime from now, unless the session ends later", async () => {
  const service = await newService(deployment, { defaultLifetime: 3 * hour, maxLifetime: 4 * hour });
  const { session } = await login(deployment, service, { lifetime: hour });
  deployment.setClock(1000);
  const extend = (lifetime?: number) => extendSession(deployment, service, session.id, lifetime, unlimited);
  expect(await extend()).toEqual({ ...session, expireTime: at(1000 + 3 * hour), lastAccessTime: at(1000) });
  expect((await extend(4 * hour)).expireTime).toEqual(at(1000 + 4 * hour));
  expect((await extend(1000)).expireTime).toEqual(at(1000 + 4 * hour));
  await expect(extend(4 * hour + 1)).rejects.toMatchObject(tooLong);
});

test("extending a session that is not active fails with its state; unknown and foreign ones fail alike", async () => {
  const service = await newService(deployment);
  const { session } = await login(deployment, service, { lifetime: hour, idleTimeout: 1000 });
  const extend = (id = session.id) => extendSession(deployment, service, id, hour, unlimited);
  const notActive = (state: string) => ({ reason: "SESSION_NOT_ACTIVE", metadata: { state } });
  deployment.setClock(1000);
  await expect(extend()).rejects.toMatchObject(notActive("idle_expired"));
  deployment.setClock(hour);
  await expect(extend()).rejects.toMatchObject(notActive("expired"));
  await revokeTarget(deployment.store, service.project, { scope: "project" });
  await expect(extend()).rejects.toMatchObject(notActive("revoked"));
  const foreign = await login(deployment, await newService(deployment));
  for (const id of [newSessionId(), foreign.session.id]) {
    await expect(extend(id)).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND", metadata: {} });
  }
});
