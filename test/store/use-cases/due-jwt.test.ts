import { decodeJwt, decodeProtectedHeader } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { unlimited } from "../../../src/transport/call-context.ts";
import type { ServiceCaller } from "../../../src/domain/use-cases/caller.ts";
import { defaultKeySchedule } from "../../../src/domain/keys/key-schedule.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { authenticate } from "../../../src/domain/use-cases/authenticate.ts";
import { login, newService, useDeployment } from "../../support/fixtures/deployment.ts";
import { at, must, revokeTarget } from "../../support/fixtures/stored.ts";

const deployment = useDeployment();
let service: ServiceCaller;

beforeEach(async () => {
  service = await newService(deployment);
});

/** The JWT that Authenticate returns for `jwt` under this policy. */
async function answeredTo(jwt: string, policy: Partial<Policy> = {}): Promise<string> {
  const { project } = service;
  const changed = { ...project, policy: { ...project.policy, ...policy } };
  return (await authenticate(deployment, changed, { jwt }, false, unlimited)).jwt;
}

const kidOf = (jwt: string) => decodeProtectedHeader(jwt).kid;

describe.each(["default", "stytch"] as const)("in the %s profile", (jwtProfile) => {
  beforeEach(async () => {
    service = await newService(deployment, { jwtProfile, signatureAlgorithm: "ES256" });
  });

  test("returns the given JWT during the first half of its lifetime, then a new one", async () => {
    const { session, jwt } = await login(deployment, service);
    for (const now of [0, 1000, 150_000]) {
      deployment.setClock(now);
      expect(await answeredTo(jwt)).toBe(jwt);
    }
    deployment.setClock(150_001);
    const fresh = await answeredTo(jwt);
    expect(decodeJwt(fresh)).toMatchObject({ sub: session.memberId, iat: at(150_000).getTime() / 1000 });
    expect(await answeredTo(fresh)).toBe(fresh);
  });

  test("the session's end shortens the JWT's lifetime", async () => {
    const { jwt } = await login(deployment, service, { lifetime: 100_000 });
    deployment.setClock(50_000);
    expect(await answeredTo(jwt)).toBe(jwt);
    deployment.setClock(50_001);
    const fresh = await answeredTo(jwt);
    expect(must(decodeJwt(fresh).exp)).toBe(at(100_000).getTime() / 1000);
    expect(await answeredTo(fresh)).toBe(fresh);
  });

  test("replaces the JWT of a session that was exempted from a revoke-all", async () => {
    const { session, jwt } = await login(deployment, service);
    const others = await login(deployment, service, { memberId: session.memberId });
    expect(await answeredTo(jwt)).toBe(jwt);
    const target = { scope: "member", id: session.memberId, except: session.id } as const;
    await revokeTarget(deployment.store, service.project, target);
    const fresh = await answeredTo(jwt);
    expect(fresh).not.toBe(jwt);
    expect(await answeredTo(fresh)).toBe(fresh);
    await expect(answeredTo(others.jwt)).rejects.toMatchObject({ reason: "SESSION_REVOKED_BY_CUTOFF" });
  });

  test("replaces a JWT with another profile than the policy's", async () => {
    const { jwt } = await login(deployment, service);
    const other = { jwtProfile: jwtProfile === "default" ? "stytch" : "default" } as const;
    const fresh = await answeredTo(jwt, other);
    expect(decodeJwt(fresh).iss).not.toBe(decodeJwt(jwt).iss);
    expect(await answeredTo(fresh, other)).toBe(fresh);
  });
});

test("replaces a valid JWT of a key that does not sign any more, and no other", async () => {
  const { keyRing } = deployment;
  const delay = defaultKeySchedule.publicationDelayMs;
  const { project } = service;
  const first = await login(deployment, service);
  const next = await keyRing.rotate(project, unlimited);
  deployment.setClock(delay - 1000);
  const second = await login(deployment, service);
  expect(kidOf(second.jwt)).toBe(kidOf(first.jwt));
  expect(await answeredTo(second.jwt)).toBe(second.jwt);
  deployment.setClock(delay);
  const fresh = await answeredTo(second.jwt);
  expect(kidOf(fresh)).toBe(next);
  expect(await answeredTo(fresh)).toBe(fresh);
});
