import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { randomUUID } from "node:crypto";
import { type MessageInitShape, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, credentials, loadPackageDefinition, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { ProjectService } from "../../../gen/session/v1/project_service_pb.ts";
import { SessionState } from "../../../gen/session/v1/session_pb.ts";
import { RevocationCause } from "../../../gen/session/v1/revocation_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { type CallHeaders, answerTo, grpcJsCalls, metadataOf } from "../../support/process/grpc-js.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";

const service = await runningService();
const sessions = grpcJsCalls(SessionService, service);
const projects = grpcJsCalls(ProjectService, service);

const asService: CallHeaders = { authorization: service.basic };
type Request<Name extends keyof typeof SessionService.method> = MessageInitShape<
  (typeof SessionService.method)[Name]["input"]
>;

const create = (request: Request<"create">, headers = asService) => sessions.create(request, headers);
const get = (id: string, headers = asService) => sessions.get({ id }, headers);
const list = (request: Request<"list">, headers = asService) => sessions.list(request, headers);
const extend = (request: Request<"extend">) => sessions.extend(request, asService);
const revoke = (request: Request<"revoke">, headers = asService) => sessions.revoke(request, headers);
const revokeAll = (request: Request<"revokeAll">, headers = asService) =>
  sessions.revokeAll(request, headers);
const authenticate = (kind: "token" | "jwt", value: string, headers = asService, issueJwt = false) =>
  sessions.authenticate({ credential: { case: kind, value }, issueJwt }, headers);

async function login(request: Request<"create"> = {}) {
  const memberId = request.memberId ?? `member-${randomUUID()}`;
  const { session, token, jwt } = await create({ ...request, memberId });
  return { id: session?.id ?? "", memberId, token, jwt };
}

/** Code and reason of a failed call. */
async function failure(call: Promise<unknown>) {
  const error = await failureOf(call);
  const { reason, domain, metadata } = errorInfoOf(error) ?? {};
  expect(domain).toBe("sessiond");
  return { code: status[error.code], reason, metadata };
}

async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => {
      throw new Error("the call did not fail");
    },
    (error: ServiceError) => error,
  );
}

describe("a session's life", () => {
  test("create returns all requested fields", async () => {
    const { session, token, jwt } = await create({
      memberId: "alice",
      organizationId: "acme",
      device: { userAgent: "curl/8", ipAddress: "2001:db8::1" },
      authenticationFactors: [{ method: "password", deliveryMethod: "", assuranceLevel: "aal1" }],
      roles: ["admin", "ops"],
      customClaims: { plan: "gold", nested: { n: 1 } },
      lifetime: { seconds: 3_600n },
      idleTimeout: { seconds: 600n },
    });
    expect(session).toMatchObject({
      memberId: "alice",
      organizationId: "acme",
      state: SessionState.ACTIVE,
      device: { userAgent: "curl/8", ipAddress: "2001:db8::1" },
      roles: ["admin", "ops"],
      customClaims: { plan: "gold", nested: { n: 1 } },
      idleTimeout: { seconds: 600n },
    });
    const seconds = (time?: { seconds: bigint }) => Number(time?.seconds);
    expect(seconds(session?.expireTime) - seconds(session?.createTime)).toBe(3_600);
    expect(seconds(session?.idleExpireTime) - seconds(session?.lastAccessTime)).toBe(600);
    expect(token).toMatch(/^sst_[\w-]{51}$/);
    expect(jwt.split(".")).toHaveLength(3);
  });

  test("authenticate by token and by JWT, get, list and extend", async () => {
    const { id, memberId, token, jwt } = await login({ lifetime: { seconds: 600n } });
    const byToken = await authenticate("token", token);
    expect(byToken.session).toMatchObject({ id, memberId, state: SessionState.ACTIVE });
    expect(byToken.jwt).toBe("");
    expect(await authenticate("jwt", jwt)).toMatchObject({ session: { id }, jwt });
    const fresh = [
      await authenticate("token", token, asService, true),
      await authenticate("jwt", jwt, asService, true),
    ].map((answer) => answer.jwt);
    expect(new Set([jwt, ...fresh]).size).toBe(3);
    for (const one of fresh) {
      expect(await authenticate("jwt", one)).toMatchObject({ session: { id }, jwt: one });
    }
    expect((await get(id)).session).toMatchObject({ id, current: false });

    const newer = await login({ memberId });
    const first = await list({ memberId, pageSize: 1 });
    expect(first.sessions.map((session) => session.id)).toEqual([newer.id]);
    const second = await list({ memberId, pageSize: 1, pageToken: first.nextPageToken });
    expect(second.sessions.map((session) => session.id)).toEqual([id]);
    expect(second.nextPageToken).toBe("");
    expect(
      JSON.stringify([first, second], (_, value: unknown) => (typeof value === "bigint" ? "" : value)),
    ).not.toMatch(/sst_|eyJ/);

    const request = { id, lifetime: { seconds: 7_200n } };
    const extended = await extend(request);
    const before = Number(byToken.session?.expireTime?.seconds);
    expect(Number(extended.session?.expireTime?.seconds)).toBeGreaterThan(before + 6_000);
    await revoke({ target: { case: "id", value: id } });
    expect(await failure(extend(request))).toEqual({
      code: "FAILED_PRECONDITION",
      reason: "SESSION_NOT_ACTIVE",
      metadata: { state: "revoked" },
    });
  });
});

describe("revoke", () => {
  test.each(["id", "token", "jwt"] as const)(
    "by %s: at once, once, and kept with who, when and why",
    async (kind) => {
      const one = await login();
      const target = { case: kind, value: one[kind] };
      const cause = RevocationCause.COMPROMISE;
      const receipt = await revoke({ target, cause, reason: "stolen laptop" });
      expect(receipt.revokedCount).toBe(1n);
      expect(receipt.revision).toBeGreaterThan(0n);
      const refused = { code: "UNAUTHENTICATED", reason: "SESSION_REVOKED" };
      for (const shown of ["token", "jwt"] as const) {
        expect(await failure(authenticate(shown, one[shown]))).toMatchObject({
          ...refused,
          metadata: { scope: "session", revision: String(receipt.revision) },
        });
      }
      const again = await revoke({ target, reason: "something else" });
      expect(again).toMatchObject({
        revision: receipt.revision,
        revokeTime: receipt.revokeTime,
        revokedCount: 0n,
      });
      expect((await get(one.id)).session).toMatchObject({
        state: SessionState.REVOKED,
        revokeTime: receipt.revokeTime,
        revokeCause: cause,
        revokeReason: "stolen laptop",
        revokeActor: expect.stringMatching(/^service\//),
        revokeRevision: receipt.revision,
      });
    },
  );

  test("by member, counts only on request", async () => {
    const { memberId, token } = await login();
    await login({ memberId });
    const target = { case: "memberId", value: memberId } as const;
    expect((await revoke({ target, countRevoked: true })).revokedCount).toBe(2n);
    expect(await failure(authenticate("token", token))).toMatchObject({
      reason: "SESSION_REVOKED_BY_CUTOFF",
      metadata: { scope: "member" },
    });
    const third = await login({ memberId });
    const uncounted = await revoke({ target });
    expect(uncounted.revokedCount).toBeUndefined();
    expect(await failure(authenticate("token", third.token))).toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await revoke({ target, countRevoked: true })).revokedCount).toBe(0n);
    expect((await authenticate("token", (await login({ memberId })).token)).session?.memberId).toBe(memberId);
  });

  test("an unknown session", async () => {
    const unknown = revoke({ target: { case: "token", value: "anything" } });
    expect(await failure(unknown)).toMatchObject({ code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" });
    expect(await failure(revoke({ target: { case: "jwt", value: "a.b.c" } }))).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "JWT_INVALID",
      metadata: { problem: "form" },
    });
  });
});

describe("revoke all", () => {
  test("of a member, except one", async () => {
    const kept = await login();
    const { memberId } = kept;
    const other = await login({ memberId });
    const scope = { case: "memberId", value: memberId } as const;
    const only = await revokeAll({ scope, exceptSessionId: kept.id, validateOnly: true });
    expect(only).toMatchObject({ revokedCount: 1n });
    expect(only.revision).toBeUndefined();
    expect(only.revokeTime).toBeUndefined();
    expect((await authenticate("token", other.token)).session?.id).toBe(other.id);

    const receipt = await revokeAll({ scope, exceptSessionId: kept.id, countRevoked: true });
    expect(receipt.revokedCount).toBe(1n);
    expect((await authenticate("token", kept.token)).session?.id).toBe(kept.id);
    expect(await failure(authenticate("token", other.token))).toMatchObject({
      metadata: { scope: "member", revision: String(receipt.revision) },
    });
  });

  test("of an organization", async () => {
    const organizationId = `org-${randomUUID()}`;
    const inside = await login({ organizationId });
    const outside = await login({ memberId: inside.memberId });
    const receipt = await revokeAll({ scope: { case: "organizationId", value: organizationId } });
    expect(receipt.revokedCount).toBeUndefined();
    expect(await failure(authenticate("jwt", inside.jwt))).toMatchObject({
      reason: "SESSION_REVOKED_BY_CUTOFF",
      metadata: { scope: "organization" },
    });
    expect((await authenticate("token", outside.token)).session?.id).toBe(outside.id);
  });

  test("of the calling end user", async () => {
    const mine = await login();
    const asMember = { authorization: `Bearer ${mine.token}` };
    const scope = { case: "self", value: {} } as const;
    expect((await revokeAll({ scope, countRevoked: true }, asMember)).revokedCount).toBe(1n);
    expect((await get(mine.id)).session).toMatchObject({
      revokeCause: RevocationCause.LOGOUT,
      revokeActor: `member/${mine.memberId}`,
    });
    expect(await failure(revokeAll({ scope }))).toMatchObject({ reason: "FIELD_INVALID" });
  });

  test("of a project", async () => {
    const own = await runningProject();
    const before = await create({ memberId: "m" }, own);
    const elsewhere = await login();
    const scope = { case: "project", value: {} } as const;
    expect((await revokeAll({ scope, validateOnly: true }, own)).revokedCount).toBe(1n);
    await revokeAll({ scope }, own);
    expect(await failure(authenticate("token", before.token, own))).toMatchObject({
      metadata: { scope: "project" },
    });
    const after = await create({ memberId: "m" }, own);
    expect((await authenticate("token", after.token, own)).session?.memberId).toBe("m");
    expect((await authenticate("token", elsewhere.token)).session?.id).toBe(elsewhere.id);
  });

  /** A project of its own, and the headers of its service. */
  async function runningProject(): Promise<CallHeaders> {
    const id = `p-${randomUUID()}`;
    await projects.createProject({ id }, asService);
    const permissions = [
      Permission.SESSIONS_CREATE,
      Permission.SESSIONS_AUTHENTICATE,
      Permission.SESSIONS_REVOKE_ALL,
    ];
    const { secret } = await projects.createServiceCredential({ projectId: id, permissions }, asService);
    return { authorization: basicAuthorization(id, secret) };
  }
});

describe("callers", () => {
  test.each(["authorization", "x-session-token"])("an end user by %s", async (header) => {
    const mine = await login();
    const other = await login({ memberId: mine.memberId });
    for (const credential of [mine.token, mine.jwt]) {
      const headers = { [header]: header === "authorization" ? `Bearer ${credential}` : credential };
      const { sessions: own } = await list({}, headers);
      expect(own.map(({ id, current }) => ({ id, current }))).toEqual([
        { id: other.id, current: false },
        { id: mine.id, current: true },
      ]);
      expect((await get(mine.id, headers)).session?.current).toBe(true);
    }
  });

  test.each<CallHeaders>([
    { authorization: "Bearer sst_x" },
    { authorization: "Bearer a.b.c" },
    { "x-session-token": "sst_x" },
  ])("refuses %j as unknown", async (headers) => {
    expect(await failure(list({}, headers))).toMatchObject({
      code: "UNAUTHENTICATED",
      reason: "SESSION_UNKNOWN",
    });
  });

  test("names the permission that a service lacks", async () => {
    const request = { projectId: service.projectId, permissions: [Permission.SESSIONS_READ] };
    const { secret } = await projects.createServiceCredential(request, asService);
    const headers = { authorization: basicAuthorization(service.projectId, secret) };
    expect(await failure(create({ memberId: "x" }, headers))).toEqual({
      code: "PERMISSION_DENIED",
      reason: "PERMISSION_MISSING",
      metadata: { permission: "sessions.create" },
    });
    expect((await list({ memberId: "nobody" }, headers)).sessions).toEqual([]);
  });
});

test("names all invalid fields at once", async () => {
  const error = await failureOf(
    create({
      memberId: "",
      device: { ipAddress: "300.1.1.1" },
      roles: ["ok", ""],
      customClaims: { sub: "x" },
      lifetime: { seconds: 0n },
    }),
  );
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  expect(error.details).toContain("member_id: ");
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const { details } = fromBinary(StatusSchema, bytes instanceof Buffer ? bytes : new Uint8Array());
  const violations = details.flatMap((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? []);
  expect(violations.map(({ field }) => field)).toEqual([
    "member_id",
    "device.ip_address",
    "roles[1]",
    "custom_claims",
    "lifetime",
  ]);
  expect(errorInfoOf(error)).toMatchObject({ reason: "FIELD_INVALID", domain: "sessiond" });
});

test("works with a client that is built from the .proto files at run time", async () => {
  const definition = loadSync("session/v1/session_service.proto", {
    includeDirs: ["proto", "proto/third_party"],
    keepCase: true,
  });
  // The shape is known only at run time.
  const { session } = loadPackageDefinition(definition) as unknown as {
    session: { v1: { SessionService: new (...args: unknown[]) => DynamicClient } };
  };
  const client = new session.v1.SessionService(`127.0.0.1:${service.port}`, credentials.createInsecure());
  afterAll(() => client.close());
  const metadata = metadataOf(asService);
  const created = await answerTo<DynamicCreated>((done) =>
    client.create({ member_id: "dynamic" }, metadata, done),
  );
  expect(created.session.member_id).toBe("dynamic");
  await answerTo((done) => client.revoke({ token: created.token }, metadata, done));
  const error = await failureOf(
    answerTo((done) => client.authenticate({ token: created.token }, metadata, done)),
  );
  expect(errorInfoOf(error)?.reason).toBe("SESSION_REVOKED");
});

interface DynamicCreated {
  readonly session: { readonly member_id: string };
  readonly token: string;
}
type DynamicMethod = <T>(
  request: object,
  metadata: ReturnType<typeof metadataOf>,
  done: (error: ServiceError | null, response?: T) => void,
) => unknown;
interface DynamicClient {
  readonly create: DynamicMethod;
  readonly authenticate: DynamicMethod;
  readonly revoke: DynamicMethod;
  close(): void;
}
