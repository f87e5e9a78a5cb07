import { decodeJwt, decodeProtectedHeader } from "jose";
import { beforeEach, expect, test, vi } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import { clockToleranceMs } from "../../../src/jwt/claims.ts";
import type { ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import { newSessionToken } from "../../../src/domain/token.ts";
import { authenticate, findActiveSession } from "../../../src/domain/use-cases/authenticate.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, hour, organizationId, revokeTarget } from "../../support/fixtures/stored.ts";
import { patience } from "../../support/patience.ts";

const deployment = useDeployment();
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment);
});

const byToken = (token: string, issueJwt = false) =>
  authenticate(deployment, service.project, { token }, issueJwt, unlimited);
const byJwt = (jwt: string, issueJwt = false) =>
  authenticate(deployment, service.project, { jwt }, issueJwt, unlimited);
const unknown = (problem: string) => ({ reason: "SESSION_UNKNOWN", metadata: { problem } });

test("token and JWT authenticate their session, with a new JWT if requested", async () => {
  const { session, token, jwt } = await login(deployment, service, { customClaims: { plan: "gold" } });
  deployment.setClock(1000);
  const byBoth = [await byToken(token, true), await byJwt(jwt, true)];
  for (const answer of byBoth) {
    expect(answer.session).toEqual({ ...session, lastAccessTime: at(1000) });
    const claims = { sid: session.id, plan: "gold", iat: at(1000).getTime() / 1000 };
    expect(decodeJwt(answer.jwt)).toMatchObject(claims);
    expect((await byJwt(answer.jwt)).session.id).toBe(session.id);
  }
});

test("without a request for a JWT, a token gets none, and no signing key is read", async () => {
  const { session, token } = await login(deployment, service);
  const asked = vi.spyOn(deployment.store.signingKeys, "signingSchedule");
  try {
    expect(await byToken(token)).toEqual({ session, jwt: "" });
    expect(asked).not.toHaveBeenCalled();
  } finally {
    asked.mockRestore();
  }
});

test("an end user's credential names its own project", async () => {
  const { session, token, jwt } = await login(deployment, service);
  for (const credential of [{ token }, { jwt }]) {
    expect(await findActiveSession(deployment, credential, undefined, unlimited)).toEqual(session);
  }
});

test.for(["", "nonsense", "a.b.c", "x".repeat(10_000)])(
  "rejects text that is not a token (%#)",
  async (text) => {
    await expect(byToken(text)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
  },
);

test("an unknown token and one of another project fail alike", async () => {
  const foreign = await login(deployment, await newService(deployment));
  for (const token of [newSessionToken(service.project.tag), foreign.token]) {
    const failure = await byToken(token).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: "SESSION_UNKNOWN", metadata: {}, violations: [] });
  }
});

test("rejects a JWT of another project, with its problem", async () => {
  const foreign = await login(deployment, await newService(deployment));
  await expect(byJwt(foreign.jwt)).rejects.toMatchObject(unknown("key"));
  await expect(byJwt("a.b.c")).rejects.toMatchObject(unknown("form"));
});

test("an expired JWT fails with JWT_EXPIRED while its session is active", async () => {
  const { token, jwt } = await login(deployment, service);
  deployment.setClock(service.project.policy.jwtLifetime + clockToleranceMs);
  await expect(byJwt(jwt)).rejects.toMatchObject({ reason: "JWT_EXPIRED" });
  await expect(byToken(token)).resolves.toBeDefined();
});

test("a replaced token does not authenticate", async () => {
  const { session, token } = await login(deployment, service);
  const { db } = deployment.opened;
  await db
    .updateTable("session_tokens")
    .set({ replace_time: at(0) })
    .where("session_id", "=", session.id)
    .execute();
  await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_UNKNOWN" });
});

test("a session that was revoked by name fails with revision and time, by token and JWT", async () => {
  const { session, token, jwt } = await login(deployment, service);
  const target = { scope: "session", id: session.id } as const;
  await revokeTarget(deployment.store, service.project, target, { time: at(5) });
  const metadata = { scope: "session", revision: "1", revoke_time: at(5).toISOString() };
  await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_REVOKED", metadata });
  await expect(byJwt(jwt)).rejects.toMatchObject({ reason: "SESSION_REVOKED", metadata });
});

test("a JWT that was accepted before is rejected as soon as its session or key is revoked", async () => {
  const one = await login(deployment, service);
  const other = await login(deployment, service);
  for (const { jwt } of [one, other, one, other]) await expect(byJwt(jwt)).resolves.toBeDefined();
  await revokeTarget(deployment.store, service.project, { scope: "session", id: one.session.id });
  await expect(byJwt(one.jwt)).rejects.toMatchObject({ reason: "SESSION_REVOKED" });
  await expect(byJwt(other.jwt)).resolves.toBeDefined();
  const { kid = "" } = decodeProtectedHeader(other.jwt);
  await revokeTarget(deployment.store, service.project, { scope: "signing_key", id: kid });
  for (const { jwt } of [one, other]) {
    await expect(byJwt(jwt)).rejects.toMatchObject(unknown("key"));
    const found = findActiveSession(deployment, { jwt }, undefined, unlimited);
    await expect(found).rejects.toMatchObject(unknown("key"));
  }
});

test.for(["member", "organization", "project"] as const)(
  "a session that a cutoff of its %s ended fails with SESSION_REVOKED_BY_CUTOFF",
  async (scope) => {
    const acme = organizationId("acme");
    const { session, token } = await login(deployment, service, { organizationId: acme });
    const targets = {
      member: { scope: "member", id: session.memberId },
      organization: { scope: "organization", id: acme },
      project: { scope: "project" },
    } as const;
    await revokeTarget(deployment.store, service.project, targets[scope], { reason: "private words" });
    const failure: unknown = await byToken(token).catch((error: unknown) => error);
    const metadata = { scope, revision: "1" };
    expect(failure).toMatchObject({ reason: "SESSION_REVOKED_BY_CUTOFF", metadata });
    expect(JSON.stringify(failure)).not.toContain("private words");
  },
);

test("a session expires exactly at its end", async () => {
  const { token } = await login(deployment, service, { lifetime: hour });
  deployment.setClock(hour - 1);
  await expect(byToken(token)).resolves.toBeDefined();
  deployment.setClock(hour);
  const metadata = { expire_time: at(hour).toISOString() };
  await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_EXPIRED", metadata });
});

test("a session in steady use outlives its idle timeout, an unused one does not", async () => {
  const { session, token } = await login(deployment, service, { idleTimeout: 10_000 });
  const isNoted = async (now: number) => {
    const found = await deployment.store.sessions.findSession(service.project.id, session.id);
    return found?.lastAccessTime.getTime() === at(now).getTime();
  };
  for (const now of [4000, 8000, 12_000, 21_999]) {
    deployment.setClock(now);
    await byToken(token);
    await vi.waitUntil(() => isNoted(now), patience);
  }
  deployment.setClock(31_999);
  const metadata = { idle_expire_time: at(31_999).toISOString() };
  await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_IDLE_EXPIRED", metadata });
});

test("an access is recorded once a minute", async () => {
  const { session, token } = await login(deployment, service);
  const recorded = vi.spyOn(deployment.store.sessions, "recordAccess");
  try {
    for (const now of [1, 30_000, 59_999]) {
      deployment.setClock(now);
      expect((await byToken(token)).session.lastAccessTime).toEqual(at(now));
    }
    expect(recorded).not.toHaveBeenCalled();
    deployment.setClock(60_000);
    await byToken(token);
    expect(recorded).toHaveBeenCalledExactlyOnceWith(session, at(60_000));
  } finally {
    recorded.mockRestore();
  }
});

test("a refused session records no access", async () => {
  const { session, token } = await login(deployment, service, { idleTimeout: 1000 });
  const recorded = vi.spyOn(deployment.store.sessions, "recordAccess");
  try {
    deployment.setClock(1000);
    await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_IDLE_EXPIRED" });
    await revokeTarget(deployment.store, service.project, { scope: "session", id: session.id });
    await expect(byToken(token)).rejects.toMatchObject({ reason: "SESSION_REVOKED" });
    expect(recorded).not.toHaveBeenCalled();
  } finally {
    recorded.mockRestore();
  }
});
