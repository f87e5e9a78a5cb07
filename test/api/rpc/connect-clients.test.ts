import { randomUUID } from "node:crypto";
import { Code, ConnectError, type Transport, createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { describe, expect, test } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionState } from "../../../gen/session/v1/session_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { withHeaders } from "../../support/fixtures/service-clients.ts";

const service = await runningService();

type Headers = Readonly<Record<string, string>>;
const asService: Headers = { authorization: service.basic };

type Options = Pick<node.GrpcTransportOptions, "baseUrl" | "interceptors">;
const transports: [name: string, make: (options: Options) => Transport][] = [
  ["gRPC over h2c", node.createGrpcTransport],
  ...(["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].flatMap((useBinaryFormat): typeof transports => {
      const name = `${httpVersion === "2" ? "h2c" : "HTTP/1.1"}, ${useBinaryFormat ? "binary" : "JSON"}`;
      const more = { httpVersion, useBinaryFormat };
      return [
        [`gRPC-Web over ${name}`, (options) => node.createGrpcWebTransport({ ...options, ...more })],
        [`Connect over ${name}`, (options) => node.createConnectTransport({ ...options, ...more })],
      ];
    }),
  ),
  [
    "Connect, gzip",
    (options) => {
      const gzip = { sendCompression: node.compressionGzip, compressMinBytes: 0 };
      return node.createConnectTransport({ ...options, httpVersion: "1.1", ...gzip });
    },
  ],
  [
    "Connect with GET",
    (options) => node.createConnectTransport({ ...options, httpVersion: "1.1", useHttpGet: true }),
  ],
  ["Connect by fetch", web.createConnectTransport],
  ["gRPC-Web by fetch", web.createGrpcWebTransport],
];

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call did not fail");
    },
    (error: unknown) => ConnectError.from(error),
  );
}

async function failure(call: Promise<unknown>) {
  const error = await errorOf(call);
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: error.code, reason: info?.reason, domain: info?.domain, metadata: info?.metadata };
}

describe.each(transports)("%s", (_name, make) => {
  const transport = (headers: Headers) =>
    make({ baseUrl: service.url, interceptors: [withHeaders(headers)] });
  const sessions = createClient(SessionService, transport(asService));

  test("a session is created, used and revoked, and the refusal has a reason", async () => {
    const memberId = `member-${randomUUID()}`;
    const { session, token, jwt } = await sessions.create({ memberId, customClaims: { plan: "gold" } });
    const id = session?.id ?? "";
    const credential = { case: "token", value: token } as const;
    expect((await sessions.authenticate({ credential })).session).toMatchObject({
      id,
      customClaims: { plan: "gold" },
    });
    expect((await sessions.authenticate({ credential: { case: "jwt", value: jwt } })).session?.id).toBe(id);
    expect((await sessions.get({ id })).session?.state).toBe(SessionState.ACTIVE);
    expect((await sessions.list({ memberId })).sessions.map((one) => one.id)).toEqual([id]);
    await sessions.extend({ id, lifetime: { seconds: 3_600n } });
    const scope = { case: "memberId", value: memberId } as const;
    expect((await sessions.revokeAll({ scope, validateOnly: true })).revokedCount).toBe(1n);

    const { revision, revokedCount } = await sessions.revoke({ target: credential });
    expect(revokedCount).toBe(1n);
    expect(await failure(sessions.authenticate({ credential }))).toEqual({
      code: Code.Unauthenticated,
      reason: "SESSION_REVOKED",
      domain: "sessiond",
      metadata: {
        scope: "session",
        revision: String(revision),
        revoke_time: expect.any(String),
        cause: "unspecified",
      },
    });
  });

  test("end users by Bearer and x-session-token", async () => {
    const { session, token, jwt } = await sessions.create({ memberId: `member-${randomUUID()}` });
    const id = session?.id ?? "";
    const headers: Headers[] = [
      { authorization: `Bearer ${token}` },
      { authorization: `Bearer ${jwt}` },
      { "x-session-token": token },
    ];
    for (const header of headers) {
      const own = createClient(SessionService, transport(header));
      expect((await own.list({})).sessions.map((one) => [one.id, one.current])).toEqual([[id, true]]);
      expect(await failure(own.create({ memberId: "x" }))).toMatchObject({ reason: "CALLER_NOT_ALLOWED" });
    }
    const own = createClient(SessionService, transport({ authorization: `Bearer ${token}` }));
    await own.revokeAll({ scope: { case: "self", value: {} } });
    expect(await failure(own.list({}))).toMatchObject({
      code: Code.Unauthenticated,
      reason: "SESSION_REVOKED_BY_CUTOFF",
    });
  });

  test("field violations, and calls without credentials", async () => {
    const error = await errorOf(sessions.create({ memberId: "", roles: [""] }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain("member_id: ");
    const [badRequest] = error.findDetails(BadRequestSchema);
    expect(badRequest?.fieldViolations.map(({ field }) => field)).toEqual(["member_id", "roles[0]"]);

    const anonymous = transport({});
    const { keys } = await createClient(ProjectService, anonymous).getJwks({ projectId: service.projectId });
    expect(keys[0]).toMatchObject({ kty: "EC", alg: "ES256", use: "sig" });
    expect((await createClient(Health, anonymous).check({})).status).toBe(Status.SERVING);
  });
});

test.each([
  { case: "fileContainingSymbol", value: "session.v1.ErrorReason" },
  { case: "fileByFilename", value: "session/v1/error_reason.proto" },
  { case: "fileByFilename", value: "session/v1/revocation.proto" },
] as const)("reflection has the file of %o", async (messageRequest) => {
  const client = createClient(ServerReflection, node.createGrpcTransport({ baseUrl: service.url }));
  async function* ask() {
    yield { messageRequest };
  }
  for await (const { messageResponse } of client.serverReflectionInfo(ask())) {
    expect(messageResponse.case).toBe("fileDescriptorResponse");
    break;
  }
});
