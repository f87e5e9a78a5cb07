import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { SessionLimitAction } from "../../../gen/session/v1/project_pb.ts";
import { type CreateRequestSchema, SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf, withHeaders } from "../../support/fixtures/service-clients.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });
const foreign = await runningService({ databaseUrl: first.databaseUrl, projectId: "another-project" });
const { projectId } = first;
const headers = { authorization: first.basic };

type Request = MessageInitShape<typeof CreateRequestSchema>;
interface Answer {
  readonly id: string;
  readonly token: string;
  readonly jwt: string;
}

async function byRest({ url }: RunningService, { memberId, requestId }: Request): Promise<Answer> {
  const body = JSON.stringify({ member_id: memberId, request_id: requestId });
  const request = { method: "POST", headers: { ...headers, "content-type": "application/json" }, body };
  const answer = await fetch(`${url}/session/v1/sessions`, request);
  const { session, token, jwt } = (await answer.json()) as Answer & { session: { id: string } };
  return { id: session.id, token, jwt };
}

const connectOf = ({ url }: RunningService) =>
  createClient(
    SessionService,
    createConnectTransport({
      baseUrl: url,
      httpVersion: "1.1",
      useBinaryFormat: false,
      interceptors: [withHeaders(headers)],
    }),
  );
const byClient =
  (calls: Pick<Client<typeof SessionService>, "create">) =>
  async (request: Request): Promise<Answer> => {
    const { session, token, jwt } = await calls.create(request);
    return { id: session?.id ?? "", token, jwt };
  };
const byGrpc = (service: RunningService) => {
  const calls = grpcJsCalls(SessionService, service);
  return byClient({ create: (request) => calls.create(request, headers) });
};

/** Over every protocol, at both replicas. */
const ways: readonly ((request: Request) => Promise<Answer>)[] = [first, second].flatMap((service) => [
  byGrpc(service),
  byClient(connectOf(service)),
  (request) => byRest(service, request),
]);

async function sessionsOfMember(memberId: string) {
  return (await sessionsOf(second).list({ memberId })).sessions;
}

describe.each([
  ["no limit", 0, SessionLimitAction.REFUSE],
  ["a limit that refuses", 1, SessionLimitAction.REFUSE],
  ["a limit that ends the oldest", 1, SessionLimitAction.END_OLDEST],
] as const)("with %s", (_, maxSessionsPerMember, sessionLimitAction) => {
  test("repeats over every protocol, at both replicas and at once, get one session and token", async () => {
    await projectsOf(first).updatePolicy({ projectId, policy: { maxSessionsPerMember, sessionLimitAction } });
    const request = { memberId: randomUUID(), requestId: randomUUID() };
    const atOnce = await Promise.all(Array.from({ length: 5 }, () => ways.map((way) => way(request))).flat());
    const later = [];
    for (const way of ways) later.push(await way(request));
    const answers = [...atOnce, ...later];
    expect(answers).toHaveLength(36);
    expect(new Set(answers.map(({ id, token }) => `${id} ${token}`)).size).toBe(1);
    expect(new Set(answers.map(({ jwt }) => jwt)).size).toBe(answers.length);
    expect(await sessionsOfMember(request.memberId)).toMatchObject([{ id: answers[0]?.id }]);
    for (const service of [first, second]) expect(await verdictOn(service, answers[0]!)).toBe("active");
    await projectsOf(first).updatePolicy({ projectId, updateMask: { paths: ["*"] } });
  });
});

test("without a request id, each call creates a session", async () => {
  const memberId = randomUUID();
  const answers = await Promise.all(ways.map((way) => way({ memberId, requestId: "" })));
  expect(new Set(answers.map(({ id }) => id)).size).toBe(ways.length);
  expect(new Set(answers.map(({ token }) => token)).size).toBe(ways.length);
});

test("projects do not share request ids", async () => {
  const request = { memberId: "ada", requestId: randomUUID() };
  const own = await sessionsOf(first).create(request);
  const other = await sessionsOf(foreign).create({ ...request, memberId: "bob" });
  expect(other.session?.memberId).toBe("bob");
  expect(other.token).not.toBe(own.token);
  expect((await sessionsOf(second).create(request)).token).toBe(own.token);
});

async function failureOf(request: Request) {
  const error: unknown = await sessionsOf(second)
    .create(request)
    .catch((thrown: unknown) => thrown);
  const fields = ConnectError.from(error)
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
  return [reasonOf(error), ...fields];
}

test("other fields with the same request id are refused, and so are malformed request ids", async () => {
  const request = { memberId: randomUUID(), requestId: "~".repeat(128) };
  const { token } = await sessionsOf(first).create(request);
  const invalid = ["FIELD_INVALID", "request_id"];
  expect(await failureOf({ ...request, roles: ["admin"] })).toEqual(invalid);
  expect(await failureOf({ ...request, memberId: randomUUID() })).toEqual(invalid);
  for (const requestId of ["x".repeat(129), "a b", "é", "\n", "\0", "\x7f"]) {
    expect(await failureOf({ memberId: "ada", requestId })).toEqual(invalid);
  }
  expect((await sessionsOf(second).create(request)).token).toBe(token);
});

test("claims are equal in any order", async () => {
  const request = { memberId: randomUUID(), requestId: randomUUID() };
  const { token } = await sessionsOf(first).create({ ...request, customClaims: { b: 1, a: { d: 2, c: 3 } } });
  const reordered = { ...request, customClaims: { a: { c: 3, d: 2 }, b: 1 } };
  expect((await sessionsOf(second).create(reordered)).token).toBe(token);
});

test("a repeat for a session that was revoked or whose token was rotated fails, and creates none", async () => {
  const revoked = { memberId: randomUUID(), requestId: randomUUID() };
  const { session } = await sessionsOf(first).create(revoked);
  await sessionsOf(first).revoke({ target: { case: "id", value: session?.id ?? "" } });
  expect(await failureOf(revoked)).toEqual(["SESSION_NOT_ACTIVE"]);
  const rotated = { memberId: randomUUID(), requestId: randomUUID() };
  const { token } = await sessionsOf(first).create(rotated);
  const next = await sessionsOf(first).rotateToken({ token });
  expect(await failureOf(rotated)).toEqual(["TOKEN_REPLACED"]);
  expect(await verdictOn(second, next)).toBe("active");
  for (const { memberId } of [revoked, rotated]) expect(await sessionsOfMember(memberId)).toHaveLength(1);
});

test("a request id is not logged", () => {
  const requestId = "login-4711-request";
  return sessionsOf(first)
    .create({ memberId: "ada", requestId })
    .then(() => expect(first.logText.join("")).not.toContain(requestId));
});
