import { describe, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import type { SessionId } from "../../../src/domain/ids.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { authenticate, findActiveSession } from "../../../src/domain/use-cases/authenticate.ts";
import { disableProject } from "../../../src/domain/use-cases/projects.ts";
import { revoke } from "../../../src/domain/use-cases/revoke.ts";
import { rotateToken } from "../../../src/domain/use-cases/rotate-token.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, hour, revokeTarget } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
const leeway = 10_000;
const revoking = { tokenReuseAction: "revoke" } as const;

const rotate = (service: ServiceCaller, token: string, issueJwt = false) =>
  rotateToken(deployment, service, token, issueJwt, unlimited);
const byToken = (service: ServiceCaller, token: string) =>
  authenticate(deployment, service.project, { token }, false, unlimited);
const byEndUser = (token: string) => findActiveSession(deployment, { token }, undefined, unlimited);
const revocationOf = async ({ project }: ServiceCaller, id: SessionId) =>
  (await deployment.store.sessions.findSession(project.id, id))?.revocation;

/** A session whose token was replaced at `replacedAt`. */
async function rotated(policy: Partial<Policy>, replacedAt = 0) {
  const service = await newService(deployment, policy);
  const { session, token: old, jwt } = await login(deployment, service);
  deployment.setClock(replacedAt);
  const { token } = await rotate(service, old);
  return { service, session, old, token, jwt };
}

test("the new token has the same session, and a JWT if requested", async () => {
  const service = await newService(deployment);
  const { session, token } = await login(deployment, service);
  deployment.setClock(5);
  const answer = await rotate(service, token, true);
  expect(answer.session).toEqual({ ...session, lastAccessTime: at(5) });
  expect(answer.token).toMatch(/^sst_[\w-]{51}$/);
  expect(answer.token).not.toBe(token);
  const byJwt = await authenticate(deployment, service.project, { jwt: answer.jwt }, false, unlimited);
  expect(byJwt.session.id).toBe(session.id);
  expect((await byToken(service, answer.token)).session.id).toBe(session.id);
  expect((await rotate(service, answer.token)).jwt).toBe("");
});

test("concurrent rotations of a token return the same new token", async () => {
  const service = await newService(deployment, revoking);
  const { token } = await login(deployment, service);
  const answers = await Promise.all(Array.from({ length: 30 }, () => rotate(service, token)));
  expect(new Set(answers.map((answer) => answer.token)).size).toBe(1);
});

test.each([{}, revoking])("within the leeway the old token authenticates under policy %j", async (policy) => {
  const { service, session, old, token } = await rotated(policy);
  deployment.setClock(leeway - 1);
  expect((await byToken(service, old)).session.id).toBe(session.id);
  expect((await byEndUser(old)).id).toBe(session.id);
  expect((await rotate(service, old)).token).toBe(token);
});

test("after the leeway the old token is refused by default, and the session stays active", async () => {
  const { service, session, old, token } = await rotated({});
  deployment.setClock(leeway);
  for (const call of [byToken, rotate]) {
    await expect(call(service, old)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
  }
  expect(await revocationOf(service, session.id)).toBeUndefined();
  expect((await byToken(service, token)).session.id).toBe(session.id);
});

describe("with the reuse policy, presenting an old token revokes the session", () => {
  const presenting: [string, (service: ServiceCaller, old: string) => Promise<unknown>][] = [
    ["to Authenticate", byToken],
    ["to RotateToken", (service, old) => rotate(service, old)],
    ["as an end user's credential", (_, old) => byEndUser(old)],
  ];
  test.each(presenting)("%s", async (_, present) => {
    const { service, session, old, token, jwt } = await rotated(revoking, 3);
    const time = at(3 + leeway);
    deployment.setClock(3 + leeway);
    const metadata = { cause: "token_reuse", scope: "session", revoke_time: time.toISOString() };
    await expect(present(service, old)).rejects.toMatchObject({ reason: "SESSION_REVOKED", metadata });
    const revocation = { scope: "session", cause: "token_reuse", actor: "policy", time };
    expect(await revocationOf(service, session.id)).toMatchObject(revocation);
    deployment.setClock(4 + leeway);
    for (const again of [old, token]) {
      await expect(present(service, again)).rejects.toMatchObject({ reason: "SESSION_REVOKED", metadata });
    }
    const byJwt = authenticate(deployment, service.project, { jwt }, false, unlimited);
    await expect(byJwt).rejects.toMatchObject({ reason: "SESSION_REVOKED", metadata });
    const { head } = await deployment.store.revocations.readRevocations(service.project.id, 0, 10);
    expect(head.revision).toBe(1);
  });
});

test("concurrent uses of an old token revoke the session once", async () => {
  const { service, old } = await rotated(revoking);
  deployment.setClock(leeway);
  const refusal = () => byToken(service, old).catch((error: { metadata: unknown }) => error.metadata);
  const refused = await Promise.all(Array.from({ length: 20 }, refusal));
  expect(new Set(refused.map((metadata) => JSON.stringify(metadata))).size).toBe(1);
  expect(refused[0]).toMatchObject({ revision: "1" });
});

test("the leeway applies only to the most recently replaced token, and not at all if it is 0", async () => {
  const twice = await rotated(revoking);
  await rotate(twice.service, twice.token);
  await expect(byToken(twice.service, twice.old)).rejects.toMatchObject({ reason: "SESSION_REVOKED" });
  const strict = await rotated({ ...revoking, tokenReuseLeeway: 0 });
  await expect(byToken(strict.service, strict.old)).rejects.toMatchObject({ reason: "SESSION_REVOKED" });
});

test("a session that has ended otherwise fails with its own reason, and is not revoked again", async () => {
  const expired = await rotated(revoking);
  deployment.setClock(100 * hour);
  await expect(byToken(expired.service, expired.old)).rejects.toMatchObject({ reason: "SESSION_EXPIRED" });
  expect(await revocationOf(expired.service, expired.session.id)).toBeUndefined();
  deployment.setClock(0);
  const loggedOut = await rotated(revoking);
  const target = { scope: "session", id: loggedOut.session.id } as const;
  await revokeTarget(deployment.store, loggedOut.service.project, target);
  deployment.setClock(leeway);
  const failure = { reason: "SESSION_REVOKED", metadata: { cause: "logout" } };
  await expect(byToken(loggedOut.service, loggedOut.old)).rejects.toMatchObject(failure);
});

test("a service of another or a disabled project cannot revoke a session with an old token", async () => {
  const { service, session, old } = await rotated(revoking);
  deployment.setClock(leeway);
  const stranger = await newService(deployment, revoking);
  for (const call of [byToken, rotate]) {
    await expect(call(stranger, old)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
  }
  const disabling = { id: service.project.id, cause: "policy", reason: "" } as const;
  await disableProject(deployment, service, disabling, unlimited);
  await expect(byEndUser(old)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
  expect(await revocationOf(service, session.id)).toMatchObject({ scope: "project", cause: "policy" });
});

test("revoking a session by an old token does not count as reuse", async () => {
  const { service, session, old } = await rotated(revoking);
  deployment.setClock(leeway);
  await revoke(deployment, service, { token: old }, { cause: "logout", reason: "", count: false }, unlimited);
  expect(await revocationOf(service, session.id)).toMatchObject({ cause: "logout" });
});

test("does not rotate the token of a session that is not active", async () => {
  const service = await newService(deployment);
  const { session, token } = await login(deployment, service);
  await revokeTarget(deployment.store, service.project, { scope: "session", id: session.id });
  await expect(rotate(service, token)).rejects.toMatchObject({ reason: "SESSION_REVOKED" });
  for (const text of ["", "nonsense", "a.b.c"]) {
    await expect(rotate(service, text)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
  }
});
