import { Code, ConnectError, type Transport, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Permission, SessionLimitAction } from "../../../gen/session/v1/project_pb.ts";
import { RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf, withHeaders } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";

const service = await runningService();
const { projectId, basic, url } = service;
const sessions = sessionsOf(service);
const projects = projectsOf(service);

const zoe = "Zoë, 受付 100%";
const as = (name: string) => ({ headers: { "acting-user": encodeURIComponent(name) } });
const sessionOf = async (id: string) => must((await sessions.get({ id })).session);
const recorded = async (filter: Parameters<typeof sessions.listRevocations>[0]) =>
  (await sessions.listRevocations(filter)).revocations;

/** Sends a request of REST or of a documented API, as the service unless a header says otherwise. */
async function send(method: string, path: string, headers: Record<string, string>, body?: object) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: basic, "content-type": "application/json", ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

const header = { "acting-user": encodeURIComponent(zoe) };
const transport = { baseUrl: url, interceptors: [withHeaders({ authorization: basic, ...header })] };
const over = (made: Transport) => createClient(SessionService, made);
const target = (id: string) => ({ target: { case: "id", value: id } }) as const;

describe("a revocation for a person shows them beside the actor", () => {
  test.each<[string, (id: string) => Promise<unknown>]>([
    ["gRPC", (id) => over(createGrpcTransport(transport)).revoke(target(id))],
    [
      "gRPC-Web",
      (id) => over(createGrpcWebTransport({ ...transport, httpVersion: "1.1" })).revoke(target(id)),
    ],
    [
      "Connect",
      (id) => over(createConnectTransport({ ...transport, httpVersion: "1.1" })).revoke(target(id)),
    ],
    ["REST", (id) => send("POST", `/session/v1/sessions/${id}:revoke`, header, {})],
    ["Stytch", (id) => send("POST", "/v1/sessions/revoke", header, { session_id: id })],
    ["Stytch B2B", (id) => send("POST", "/v1/b2b/sessions/revoke", header, { member_session_id: id })],
  ])("over %s", async (_, revoke) => {
    const { id, memberId } = await newLogin(service, { organizationId: "acme" });
    await revoke(id);
    const [revocation, ...none] = await recorded({ memberId, actingUser: zoe });
    expect(none).toEqual([]);
    const actor = expect.stringMatching(/^service\/[0-9a-f-]{36}$/);
    expect(revocation).toMatchObject({
      scope: RevocationScope.SESSION,
      targetId: id,
      actor,
      actingUser: zoe,
      memberId,
      organizationId: "acme",
    });
    expect(await sessionOf(id)).toMatchObject({ revokeActor: actor, revokeActingUser: zoe });
    const [listed] = (await sessions.list({ memberId })).sessions;
    expect(listed).toMatchObject({ revokeActor: actor, revokeActingUser: zoe });
  });

  test("for cutoffs, signing keys, and sessions that a login ends", async () => {
    const { id, memberId } = await newLogin(service);
    await sessions.revokeAll({ scope: { case: "memberId", value: memberId } }, as("cutter"));
    expect(await sessionOf(id)).toMatchObject({ revokeActingUser: "cutter" });
    const [cutoff] = await recorded({ actingUser: "cutter" });
    expect(cutoff).toMatchObject({ scope: RevocationScope.MEMBER, memberId: "", organizationId: "" });

    const [key] = (await projects.listSigningKeys({ projectId })).signingKeys;
    await projects.revokeSigningKey({ projectId, kid: must(key).kid }, as("locksmith"));
    expect(await recorded({ actingUser: "locksmith" })).toMatchObject([
      { scope: RevocationScope.SIGNING_KEY, targetId: must(key).kid, memberId: "" },
    ]);

    const limit = (maxSessionsPerMember: number) =>
      projects.updatePolicy({
        projectId,
        policy: { maxSessionsPerMember, sessionLimitAction: SessionLimitAction.END_OLDEST },
      });
    await limit(1);
    const oldest = await newLogin(service);
    await sessions.create({ memberId: oldest.memberId }, as("frontend"));
    await limit(0);
    expect(await sessionOf(oldest.id)).toMatchObject({ revokeActingUser: "frontend" });
  });
});

test("a repeated revocation keeps the person of the first one, whoever repeats it", async () => {
  const { id } = await newLogin(service);
  const first = await sessions.revoke(target(id), as("first"));
  expect((await sessions.revoke(target(id), as("second"))).revision).toBe(first.revision);
  expect((await sessions.revoke(target(id))).revision).toBe(first.revision);
  expect(await sessionOf(id)).toMatchObject({ revokeActingUser: "first" });
  expect(await recorded({ actingUser: "second" })).toEqual([]);

  const unnamed = await newLogin(service);
  await sessions.revoke(target(unnamed.id));
  await sessions.revoke(target(unnamed.id), as("second"));
  expect(await sessionOf(unnamed.id)).toMatchObject({ revokeActingUser: "" });
});

test("watchers see neither the person nor the member", async () => {
  const { id } = await newLogin(service);
  const { revision } = await sessions.revoke(target(id), as("secretive"));
  const stop = new AbortController();
  const stream = sessions.watchRevocations({ start: { case: "oldest", value: {} } }, { signal: stop.signal });
  for await (const { revocations } of stream) {
    const seen = revocations.find((revocation) => revocation.revision === revision);
    if (seen === undefined) continue;
    expect(seen).toMatchObject({ targetId: id, actor: "", actingUser: "", memberId: "", organizationId: "" });
    break;
  }
  stop.abort();
});

describe("end users act for themselves", () => {
  const { "acting-user": name } = header;
  test.each<[string, (token: string, jwt: string) => Promise<{ readonly status: number }>]>([
    [
      "a session token",
      (token) => send("GET", "/session/v1/sessions", { ...end(token), "acting-user": name }),
    ],
    ["a JWT", (_, jwt) => send("GET", "/session/v1/sessions", { ...end(jwt), "acting-user": name })],
    ["Flashback", (token) => send("POST", "/sessions/revoke-all", { ...end(token), "acting-user": name })],
    [
      "a cookie of Kratos",
      (token) =>
        send("DELETE", "/auth/sessions/01900000-0000-7000-8000-000000000000", {
          authorization: "",
          cookie: `ory_kratos_session=${token}`,
          "acting-user": name,
        }),
    ],
    [
      "a service with a member's session",
      (token) =>
        send(
          "POST",
          "/v1/b2b/sessions/revoke",
          { "x-stytch-member-session": token, "acting-user": name },
          { session_token: token },
        ),
    ],
  ])("%s with acting-user is INVALID_ARGUMENT, and nothing is revoked", async (_, call) => {
    const { id, token, jwt } = await newLogin(service);
    const answer = await call(token, jwt);
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("acting-user") });
    expect(await sessionOf(id)).toMatchObject({ revokeActor: "" });
  });

  function end(credential: string) {
    return { authorization: `Bearer ${credential}` };
  }
});

test("a wrong value names the field and what is accepted, and nothing is done", async () => {
  const { id } = await newLogin(service);
  const error: unknown = await sessions
    .revoke(target(id), { headers: { "acting-user": "%" } })
    .catch((error: unknown) => error);
  const shown = ConnectError.from(error);
  expect(shown.code).toBe(Code.InvalidArgument);
  const [violation] = shown.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
  expect(violation).toMatchObject({ field: "acting-user", description: expect.stringContaining("%2C") });
  expect(await sessionOf(id)).toMatchObject({ revokeActor: "" });
});

test("the log says for whom every call was made, permitted or not, without secrets", async () => {
  const { token } = await newLogin(service);
  const { secret } = await projects.createServiceCredential({
    projectId,
    permissions: [Permission.SESSIONS_CREATE],
  });
  const reader = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  const call = (id: string, headers: Record<string, string>) =>
    send("GET", "/session/v1/sessions?member_id=ada", { "x-request-id": id, ...headers });
  await call("acting-1", header);
  await call("acting-2", { authorization: reader, ...header });
  await call("acting-3", {});
  await call("acting-4", { "acting-user": token });
  const line = (id: string) => service.log.find((entry) => entry["request_id"] === id);
  await expect.poll(() => line("acting-4")).toBeDefined();
  expect(line("acting-1")).toMatchObject({ acting_user: zoe, code: "Ok" });
  expect(line("acting-2")).toMatchObject({ acting_user: zoe, code: "PermissionDenied" });
  expect(line("acting-3")).not.toHaveProperty("acting_user");
  expect(line("acting-4")).toMatchObject({ acting_user: "[secret]" });
});

test("methods that need no credential ignore the header", async () => {
  const path = `/session/v1/projects/${projectId}/jwks`;
  expect(await send("GET", path, { "acting-user": "%" })).toMatchObject({ status: 200 });
});

test("the client sends its acting user, but not with calls of end users or of another person", async () => {
  const credential = { projectId, secret: service.secret };
  const client = connectSessiond({ baseUrl: url, credential, actingUser: zoe });
  try {
    const [one, other] = [await newLogin(service), await newLogin(service)];
    await client.sessions.revoke(target(one.id));
    expect(await sessionOf(one.id)).toMatchObject({ revokeActingUser: zoe });
    await client.sessions.revoke(target(other.id), as("another"));
    expect(await sessionOf(other.id)).toMatchObject({ revokeActingUser: "another" });
    const own = await newLogin(service);
    const headers = { authorization: `Bearer ${own.token}` };
    await client.sessions.revoke(target(own.id), { headers });
    expect(await sessionOf(own.id)).toMatchObject({
      revokeActingUser: "",
      revokeActor: `member/${own.memberId}`,
    });
  } finally {
    client.close();
  }
});
