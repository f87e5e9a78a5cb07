import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { randomUUID } from "node:crypto";
import { B2BClient, Client, RequestError, StytchError } from "stytch";
import { describe, expect, test, vi } from "vitest";
import { type Login, newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { requestId, stytchSuccess } from "./stytch-answers.ts";

const service = await runningService();
await projectsOf(service).updatePolicy({
  projectId: service.projectId,
  policy: { roleGrants: [{ role: "admin", permissions: [Permission.SESSIONS_REVOKE] }] },
});

// The SDK warns of every environment that is not Stytch's own.
vi.spyOn(console, "warn").mockImplementation(() => undefined);

const settings = { project_id: service.projectId, secret: service.secret, env: `${service.url}/` };

/** The failure of a call, with the fields that the SDK gives to its users. */
async function failureOf(call: Promise<unknown>) {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StytchError)) throw new Error("no StytchError", { cause: error });
  const { status_code, request_id, error_type, error_message, error_url } = error;
  expect(request_id).toEqual(requestId);
  expect(error_url).toBe(`https://stytch.com/docs/api/errors/${status_code}`);
  return { status_code, error_type, error_message };
}

const notFound = {
  status_code: 404,
  error_type: "session_not_found",
  error_message: "Session could not be found.",
};

const client = new Client(settings);
const b2b = new B2BClient(settings);

const cutOff = "SESSION_REVOKED_BY_CUTOFF";
test.each<[name: string, revoke: (login: Login) => Promise<unknown>, verdict?: string]>([
  ["Client by session_id", ({ id }) => client.sessions.revoke({ session_id: id })],
  ["Client by session_token", ({ token }) => client.sessions.revoke({ session_token: token })],
  ["Client by session_jwt", ({ jwt }) => client.sessions.revoke({ session_jwt: jwt })],
  ["B2BClient by member_session_id", ({ id }) => b2b.sessions.revoke({ member_session_id: id })],
  ["B2BClient by session_token", ({ token }) => b2b.sessions.revoke({ session_token: token })],
  ["B2BClient by session_jwt", ({ jwt }) => b2b.sessions.revoke({ session_jwt: jwt })],
  ["B2BClient by member_id", ({ memberId }) => b2b.sessions.revoke({ member_id: memberId }), cutOff],
])("%s revokes", async (_name, revoke, verdict = "SESSION_REVOKED") => {
  const login = await newLogin(service);
  expect(await revoke(login)).toEqual(stytchSuccess);
  expect(await verdictOn(service, login)).toBe(verdict);
});

describe("Client", () => {
  test("throws the errors that Stytch documents", async () => {
    const { sessions } = client;
    expect(await failureOf(sessions.revoke({ session_id: "session-1" }))).toEqual({
      status_code: 400,
      error_type: "invalid_session_id",
      error_message: "session_id format is invalid.",
    });
    expect(await failureOf(sessions.revoke({ session_id: randomUUID() }))).toEqual(notFound);
    expect(
      await failureOf(sessions.revoke({ session_token: "mZAYn5aLEqKUlZ_Ad9U_fWr38GaAQ1oFAhT8ds245v7Q" })),
    ).toEqual(notFound);
    expect(await failureOf(sessions.revoke({ session_jwt: "a.b.c" }))).toMatchObject({
      error_type: "unable_to_parse_session_jwt",
    });
    expect(await failureOf(sessions.revoke({}))).toMatchObject({ error_type: "no_session_revoke_arguments" });
    expect(await failureOf(sessions.revoke({ session_id: "a", session_jwt: "b" }))).toMatchObject({
      error_type: "too_many_session_revoke_arguments",
    });
    const stranger = new Client({ ...settings, secret: "wrong" });
    expect(await failureOf(stranger.sessions.revoke({ session_id: randomUUID() }))).toEqual({
      status_code: 401,
      error_type: "unauthorized_credentials",
      error_message: "Unauthorized credentials.",
    });
  });

  test("understands the answer to a call that is not served", async () => {
    expect(await failureOf(client.users.search({}))).toMatchObject({ status_code: 404 });
  });

  test("needs no slash at the end of its environment", async () => {
    const login = await newLogin(service);
    const bare = new Client({ ...settings, env: service.url });
    expect(await bare.sessions.revoke({ session_id: login.id })).toMatchObject({ status_code: 200 });
    expect(RequestError).toBeDefined();
  });
});

describe("B2BClient", () => {
  test.each([
    ["session_token", ({ token }: Login) => ({ session_token: token })],
    ["session_jwt", ({ jwt }: Login) => ({ session_jwt: jwt })],
  ])("runs with a member's permissions by %s", async (_name, authorization) => {
    const organizationId = "org";
    const member = await newLogin(service, { organizationId });
    const own = await newLogin(service, { organizationId, memberId: member.memberId });
    const admin = await newLogin(service, { organizationId, roles: ["admin"] });
    const asMember = { authorization: authorization(member) };
    const asAdmin = { authorization: authorization(admin) };

    await b2b.sessions.revoke({ member_session_id: own.id }, asMember);
    expect(await verdictOn(service, own)).toBe("SESSION_REVOKED");
    expect(await failureOf(b2b.sessions.revoke({ member_id: admin.memberId }, asMember))).toEqual({
      status_code: 403,
      error_type: "session_authorization_error",
      error_message: "The member session may not revoke this session.",
    });
    await b2b.sessions.revoke({ member_id: member.memberId }, asAdmin);
    expect(await verdictOn(service, member)).toBe("SESSION_REVOKED_BY_CUTOFF");
    expect(await failureOf(b2b.sessions.revoke({ member_id: "m" }, asMember))).toEqual({
      ...notFound,
      status_code: 401,
    });
  });
});
