import { positionAt } from "../../support/fixtures/positions.ts";
import { decodeProtectedHeader } from "jose";
import { expect, test } from "vitest";
import {
  SignatureAlgorithm,
  type SigningKey,
  SigningKeyState as State,
} from "../../../gen/session/v1/project_pb.ts";
import { RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { newLogin, reasonOf } from "../../support/fixtures/logins.ts";
import { type RunningService, movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";

const clock = movableClock();
const environment = { SESSIOND_SIGNING_KEY_PUBLICATION_DELAY_MS: "60000" };
const one = await runningService({ now: clock.now, environment });
const other = await runningService({ now: clock.now, environment, databaseUrl: one.databaseUrl });
const replicas = [one, other];
const { projectId } = one;
const projects = projectsOf(one);
const delay = 60_000;

const kidOf = (jwt: string) => decodeProtectedHeader(jwt).kid;
const currentKid = async (service: RunningService) => kidOf((await newLogin(service)).jwt);

/** Key ids in the JWKS, over plain HTTP. */
async function jwksOf(service: RunningService, path = `/session/v1/projects/${projectId}/jwks`) {
  const response = await fetch(service.url + path);
  const body = (await response.json()) as { keys: { kid: string; alg: string }[] };
  return { kids: body.keys.map(({ kid }) => kid), body, response };
}

/** The JWT that a replica returns for this one. */
async function jwtAfter(service: RunningService, jwt: string): Promise<string> {
  return (await sessionsOf(service).authenticate({ credential: { case: "jwt", value: jwt } })).jwt;
}

/** Verdict of a replica on a JWT: "active", or the reason. */
async function verdictOnJwt(service: RunningService, jwt: string): Promise<string> {
  const problemOf = (error: unknown) => errorInfoOf(error)?.metadata["problem"] ?? reasonOf(error);
  return jwtAfter(service, jwt).then(() => "active", problemOf);
}

async function keyOf(kid: string): Promise<SigningKey> {
  const { signingKeys } = await projectsOf(other).listSigningKeys({ projectId });
  return must(signingKeys.find((key) => key.kid === kid));
}

async function rotated(service = one): Promise<SigningKey> {
  return must((await projectsOf(service).rotateSigningKey({ projectId })).signingKey);
}

test("rotates with one call: the next key is published, then signs on both replicas; earlier JWTs stay valid", async () => {
  const before = await newLogin(one);
  const first = must(kidOf(before.jwt));
  const next = await rotated();
  expect(next).toMatchObject({ projectId, state: State.NEXT, algorithm: SignatureAlgorithm.ES256 });
  for (const replica of replicas) {
    expect((await jwksOf(replica)).kids).toEqual([first, next.kid]);
    expect(await currentKid(replica)).toBe(first);
  }
  expect(await keyOf(first)).toMatchObject({ state: State.ACTIVE, retireTime: next.activateTime });

  clock.advance(delay);
  for (const replica of replicas) {
    expect(await currentKid(replica)).toBe(next.kid);
    expect((await jwksOf(replica)).kids).toEqual([next.kid, first]);
    expect(await verdictOnJwt(replica, before.jwt)).toBe("active");
  }
  expect((await keyOf(first)).state).toBe(State.RETIRED);
  const end = must((await keyOf(first)).unpublishTime);
  expect(Number(end.seconds - must(next.activateTime).seconds)).toBeGreaterThanOrEqual(3600);
  clock.advance(2 * 3_600_000);
  for (const replica of replicas) expect((await jwksOf(replica)).kids).toEqual([next.kid]);
});

test("after a rotation, every replica answers a JWT of the previous key with one of the current key", async () => {
  const { jwt } = await newLogin(one);
  for (const replica of replicas) expect(await jwtAfter(replica, jwt)).toBe(jwt);
  const next = await rotated();
  clock.advance(delay - 1000);
  for (const replica of replicas) expect(await jwtAfter(replica, jwt)).toBe(jwt);
  clock.advance(1000);
  for (const replica of replicas) expect(kidOf(await jwtAfter(replica, jwt))).toBe(next.kid);
});

test("concurrent rotations on both replicas create one key", async () => {
  await newLogin(one);
  const asked = await Promise.all(Array.from({ length: 8 }, (_, i) => rotated(replicas[i % 2])));
  expect(new Set(asked.map(({ kid }) => kid)).size).toBe(1);
  const { signingKeys } = await projects.listSigningKeys({ projectId });
  expect(signingKeys.filter(({ state }) => state === State.NEXT)).toHaveLength(1);
  clock.advance(delay);
});

test("refuses a revoked key at once on every replica, and logs the revocation", async () => {
  const login = await newLogin(one);
  for (const replica of replicas) expect(await verdictOnJwt(replica, login.jwt)).toBe("active");
  const kid = must(kidOf(login.jwt));
  const reason = "in a public repository";
  const { signingKey } = await projects.revokeSigningKey({ projectId, kid, reason });
  expect(signingKey).toMatchObject({ kid, state: State.REVOKED });
  const revision = must(must(signingKey).revokeRevision);

  for (const replica of replicas) {
    expect(await verdictOnJwt(replica, login.jwt)).toBe("key");
    const byJwt = sessionsOf(replica).revoke({ target: { case: "jwt", value: login.jwt } });
    const info = errorInfoOf(await byJwt.catch((error: unknown) => error));
    expect(info).toMatchObject({ reason: "JWT_INVALID", metadata: { problem: "key" } });
    const { kids } = await jwksOf(replica);
    expect(kids).not.toContain(kid);
    // The session stays active: its token gets a JWT of the current key, which is published.
    const credential = { case: "token", value: login.token } as const;
    const { jwt } = await sessionsOf(replica).authenticate({ credential, issueJwt: true });
    expect(kidOf(jwt)).toBe(kids[0]);
    expect(await verdictOnJwt(replica, jwt)).toBe("active");
  }

  const end = new AbortController();
  const start = { case: "after", value: await positionAt(one, revision - 1n) } as const;
  const stream = sessionsOf(other).watchRevocations({ start }, { signal: end.signal });
  const { value } = await stream[Symbol.asyncIterator]().next();
  end.abort();
  expect(value).toMatchObject({
    revocations: [{ revision, scope: RevocationScope.SIGNING_KEY, targetId: kid }],
  });
  const again = await projectsOf(other).revokeSigningKey({ projectId, kid });
  expect(again.signingKey).toEqual(signingKey);
});

test("the next key takes over when the current one is revoked", async () => {
  const first = must(await currentKid(one));
  const next = await rotated();
  await projects.revokeSigningKey({ projectId, kid: first });
  for (const replica of replicas) expect(await currentKid(replica)).toBe(next.kid);
  expect((await keyOf(next.kid)).state).toBe(State.ACTIVE);
});

test("the current key stays when the next one is revoked", async () => {
  const first = must(await currentKid(one));
  const next = await rotated();
  await projectsOf(other).revokeSigningKey({ projectId, kid: next.kid });
  clock.advance(delay);
  for (const replica of replicas) expect(await currentKid(replica)).toBe(first);
});

test("rotates keys on schedule once, on either replica", async () => {
  const first = must(await currentKid(one));
  clock.advance(91 * 86_400_000);
  await Promise.all(replicas.flatMap((replica) => [newLogin(replica), newLogin(replica)]));
  const { signingKeys } = await projects.listSigningKeys({ projectId });
  const waiting = signingKeys.filter(({ state }) => state === State.NEXT);
  expect(waiting).toHaveLength(1);
  expect((await keyOf(first)).state).toBe(State.ACTIVE);
  clock.advance(delay);
  for (const replica of replicas) expect(await currentKid(replica)).toBe(waiting[0]?.kid);
});

test.each([
  ["ES256", SignatureAlgorithm.ES256],
  ["EdDSA", SignatureAlgorithm.EDDSA],
  ["RS256", SignatureAlgorithm.RS256],
])("%s by the project's choice, from the next rotation on", async (alg, signatureAlgorithm) => {
  const before = await newLogin(one);
  const { project } = await projects.updatePolicy({ projectId, policy: { signatureAlgorithm } });
  expect(project?.policy?.signatureAlgorithm).toBe(signatureAlgorithm);
  expect(await currentKid(one)).toBe(kidOf(before.jwt));
  const next = await rotated();
  expect(next.algorithm).toBe(signatureAlgorithm);
  clock.advance(delay);
  const after = await newLogin(other);
  expect(decodeProtectedHeader(after.jwt)).toEqual({ alg, kid: next.kid, typ: "JWT" });
  for (const replica of replicas) {
    for (const { jwt } of [before, after]) expect(await verdictOnJwt(replica, jwt)).toBe("active");
  }
  expect((await jwksOf(one)).body.keys[0]).toMatchObject({ kid: next.kid, alg });
  await projects.updatePolicy({ projectId, updateMask: { paths: ["*"] } });
});

test.each(["jwks", ".well-known/jwks.json"])(
  "%s may be cached, for less than a key is published before it signs",
  async (path) => {
    const { response } = await jwksOf(one, `/session/v1/projects/${projectId}/${path}`);
    expect(response.headers.get("cache-control")).toBe("public, max-age=30");
  },
);

test("a Connect GET of the JWKS varies by Accept-Encoding, compressed or not", async () => {
  await projects.updatePolicy({ projectId, policy: { signatureAlgorithm: SignatureAlgorithm.RS256 } });
  const query = new URLSearchParams({ encoding: "json", message: JSON.stringify({ projectId }) });
  const get = (accepted: string) =>
    fetch(`${one.url}/session.v1.ProjectService/GetJwks?${query.toString()}`, {
      headers: { "accept-encoding": accepted },
    });
  const lengthOf = async (answer: Response) => (await answer.arrayBuffer()).byteLength;
  while ((await lengthOf(await get("identity"))) < 1024) {
    await rotated();
    clock.advance(delay);
  }
  for (const [accepted, encoding] of [
    ["identity", null],
    ["gzip", "gzip"],
    ["br", "br"],
  ] as const) {
    const { headers } = await get(accepted);
    expect(headers.get("content-encoding")).toBe(encoding);
    expect(headers.get("vary")).toBe("accept-encoding");
    expect(headers.get("cache-control")).toContain("public");
  }
  await projects.updatePolicy({ projectId, updateMask: { paths: ["*"] } });
});

test("reports invalid fields by name", async () => {
  for (const kid of ["", "x".repeat(129)]) {
    const call = projects.revokeSigningKey({ projectId, kid });
    expect(await call.then(() => "answered", reasonOf)).toBe("FIELD_INVALID");
  }
  const answer = await fetch(`${one.url}/session/v1/projects/${projectId}/policy`, {
    method: "PATCH",
    headers: { authorization: one.basic, "content-type": "application/json" },
    body: JSON.stringify({ jwt_profile: 9, signature_algorithm: 9 }),
  });
  expect(await answer.text()).toMatch(/policy\.jwt_profile: .*policy\.signature_algorithm: /);
});
