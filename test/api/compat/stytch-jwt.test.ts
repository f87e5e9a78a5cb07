import { decodeJwt, decodeProtectedHeader } from "jose";
import { B2BClient, Client } from "stytch";
import { expect, test, vi } from "vitest";
import { JwtProfile } from "../../../gen/session/v1/project_pb.ts";
import { type Login, newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { stytchSuccess } from "./stytch-answers.ts";

const clock = movableClock();
const service = await runningService({ now: clock.now });
const { projectId } = service;
await projectsOf(service).updatePolicy({ projectId, policy: { jwtProfile: JwtProfile.STYTCH } });

// The SDK warns of every environment that is not Stytch's own.
vi.spyOn(console, "warn").mockImplementation(() => undefined);

const settings = { project_id: projectId, secret: service.secret, env: `${service.url}/` };
const client = new Client(settings);
const b2b = new B2BClient(settings);

const rich = {
  organizationId: "acme",
  roles: ["admin"],
  device: { userAgent: "Firefox", ipAddress: "192.0.2.1" },
  authenticationFactors: [{ method: "otp", deliveryMethod: "sms", assuranceLevel: "aal1" }],
  customClaims: { plan: "gold" },
};
const shown = (jwt: string) => ({ session_jwt: jwt, current_date: clock.now() });
const local = (jwt: string) => client.sessions.authenticateJwtLocal(shown(jwt));
const localB2b = (jwt: string) => b2b.sessions.authenticateJwtLocal(shown(jwt));
const invalid = { code: "jwt_invalid" };

/** What the service says of it. */
const authenticated = ({ jwt }: Login) =>
  sessionsOf(service).authenticate({ credential: { case: "jwt", value: jwt } });

const told = (login: Login) => ({
  authentication_factors: [
    { type: "otp", delivery_method: "sms", last_authenticated_at: expect.any(String) as unknown },
  ],
  started_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown,
  last_accessed_at: expect.any(String) as unknown,
  expires_at: new Date(decodedSession(login).expires_at).toISOString(),
  custom_claims: { plan: "gold" },
  roles: ["admin"],
});

function decodedSession({ jwt }: Login) {
  return decodeJwt(jwt)["https://stytch.com/session"] as { expires_at: string };
}

test("Stytch's consumer SDK verifies a session JWT locally", async () => {
  const login = await newLogin(service, { ...rich, organizationId: "" });
  expect(decodeProtectedHeader(login.jwt)).toMatchObject({ alg: "RS256", typ: "JWT" });
  expect(decodeJwt(login.jwt)).toMatchObject({ iss: `stytch.com/${projectId}`, aud: [projectId] });
  expect(await local(login.jwt)).toEqual({
    session_id: login.id,
    user_id: login.memberId,
    attributes: { ip_address: "192.0.2.1", user_agent: "Firefox" },
    ...told(login),
  });
});

test("Stytch's B2B SDK does too, and knows the organization", async () => {
  const login = await newLogin(service, rich);
  expect(await localB2b(login.jwt)).toEqual({
    member_session_id: login.id,
    member_id: login.memberId,
    organization_id: "acme",
    organization_slug: "acme",
    ...told(login),
  });
});

test("neither takes one that has expired, nor one that was changed", async () => {
  const login = await newLogin(service, rich);
  const [header, , signature] = login.jwt.split(".");
  const payload = Buffer.from(JSON.stringify({ ...decodeJwt(login.jwt), sub: "eve" })).toString("base64url");
  const changed = `${header}.${payload}.${signature}`;
  for (const verify of [local, localB2b]) {
    await expect(verify(login.jwt)).resolves.toBeDefined();
    await expect(verify(changed)).rejects.toMatchObject(invalid);
  }
  clock.advance(300_000);
  for (const verify of [local, localB2b]) await expect(verify(login.jwt)).rejects.toMatchObject(invalid);
});

test("the service takes it, and revokes by it, expired or not", async () => {
  const [one, two] = [await newLogin(service, rich), await newLogin(service, rich)];
  expect((await authenticated(one)).session?.id).toBe(one.id);
  await client.sessions.revoke({ session_jwt: one.jwt });
  expect(await verdictOn(service, one)).toBe("SESSION_REVOKED");
  clock.advance(330_000);
  await expect(authenticated(two)).rejects.toThrow("expired");
  await b2b.sessions.revoke({ session_jwt: two.jwt });
  expect(await verdictOn(service, two)).toBe("SESSION_REVOKED");
});

test("JWTs of the profile before stay good when the profile changes", async () => {
  const stytch = await newLogin(service, rich);
  await projectsOf(service).updatePolicy({ projectId, updateMask: { paths: ["*"] } });
  const own = await newLogin(service, rich);
  expect(decodeJwt(own.jwt)).toMatchObject({ iss: `sessiond/${projectId}`, sid: own.id });
  await projectsOf(service).updatePolicy({ projectId, policy: { jwtProfile: JwtProfile.STYTCH } });
  for (const login of [stytch, own]) expect((await authenticated(login)).session?.id).toBe(login.id);
});

test.each([`/v1/sessions/jwks/${projectId}`, `/v1/b2b/sessions/jwks/${projectId}`])(
  "GET %s is public and answers as documented",
  async (path) => {
    const { kid } = decodeProtectedHeader((await newLogin(service)).jwt);
    const response = await fetch(service.url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
    expect(await response.json()).toEqual({
      keys: [
        {
          kty: "RSA",
          kid,
          alg: "RS256",
          use: "sig",
          key_ops: ["verify"],
          x5c: [],
          x5tS256: "",
          n: expect.stringMatching(/^[\w-]{342}$/) as unknown,
          e: "AQAB",
        },
      ],
      ...stytchSuccess,
    });
  },
);

test.each(["/v1/sessions/jwks/unknown", "/v1/b2b/sessions/jwks/not%20an%20id"])(
  "GET %s names no project",
  async (path) => {
    const response = await fetch(service.url + path);
    expect(response.status).toBe(404);
    expect(response.headers.get("cache-control")).toBeNull();
    expect(await response.json()).toMatchObject({ status_code: 404, error_type: "project_not_found" });
  },
);
