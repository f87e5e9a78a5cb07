import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { RevocationScope } from "../../../../gen/session/v1/session_service_pb.ts";
import { grpcClient, grpcServiceDefinition } from "../../../../src/client/grpc.ts";
import type { MiddlewareOptions } from "../../../../src/client/verifier/middleware/authenticate-request.ts";
import {
  verifierInterceptor as connectInterceptor,
  sessionClaimsKey,
} from "../../../../src/client/verifier/middleware/connect.ts";
import { withSession } from "../../../../src/client/verifier/middleware/fetch.ts";
import {
  sessionClaimsOf as claimsOfCall,
  verifierInterceptor,
} from "../../../../src/client/verifier/middleware/grpc.ts";
import { sessionClaimsOf, verifierMiddleware } from "../../../../src/client/verifier/middleware/node.ts";
import type { Verifier } from "../../../../src/client/verifier/verifier.ts";
import { serving } from "../../rpc/serving.ts";
import { answerTo, metadataOf } from "../../../support/process/grpc-js.ts";
import { goodClaims, newKey, scriptedService, signed, silence, verifierOf } from "./scripted-service.ts";

const key = await newKey();
const revokedSession = goodClaims().sid;
const jwts = { good: "", revoked: "", expired: "" };

let verifier: Verifier;
let closed: Verifier;

beforeAll(async () => {
  const { iat, exp } = goodClaims();
  jwts.good = await signed(key);
  jwts.revoked = await signed(key, { sid: revokedSession });
  jwts.expired = await signed(key, { iat: iat - 1000, nbf: iat - 1000, exp: exp - 1000 });
});

beforeEach(async () => {
  const service = await scriptedService();
  service.jwks.keys = [key.jwk];
  service.watch = async function* (_request, context) {
    const revocation = { revision: 1n, scope: RevocationScope.SESSION, targetId: revokedSession };
    yield { revocations: [revocation], revision: 1n, caughtUp: true, elapsed: {} };
    await silence(context);
  };
  const silent = await scriptedService();
  silent.jwks.keys = [key.jwk];
  silent.watch = async function* (_request, context) {
    await silence(context);
    yield {};
  };
  verifier = verifierOf(service);
  closed = verifierOf(silent, { onStale: "refuse" });
  await verifier.ready();
});

/** Requests and the status of their answers. */
const cases: readonly (readonly [name: string, headers: () => Record<string, string>, status: number])[] = [
  ["a valid JWT", () => ({ authorization: `Bearer ${jwts.good}` }), 200],
  ["a valid JWT, with the scheme in lower case", () => ({ authorization: `bearer ${jwts.good}` }), 200],
  ["a revoked JWT", () => ({ authorization: `Bearer ${jwts.revoked}` }), 401],
  ["an expired JWT", () => ({ authorization: `Bearer ${jwts.expired}` }), 401],
  ["text that is not a JWT", () => ({ authorization: "Bearer x" }), 401],
  ["another scheme", () => ({ authorization: "Basic eDp5" }), 401],
  ["no credential", () => ({}), 401],
];

const fromCookie: MiddlewareOptions = {
  extract: (header) =>
    decodeURIComponent(/session=([^;]*)/.exec(header("cookie") ?? "")?.[1] ?? "") || undefined,
};

describe("a Fetch-API handler", () => {
  const handle = (by: Verifier, options?: MiddlewareOptions) => {
    const wrapped = withSession(by, (_request, claims) => new Response(`hello ${claims.memberId}`), options);
    return (headers: Record<string, string>) => wrapped(new Request("http://shop.test/", { headers }));
  };
  test.each(cases)("authenticates a request with %s", async (_, headers, status) => {
    expect(await shown(await handle(verifier)(headers()))).toEqual(httpAnswers[status]);
  });
  test("answers 503 or UNAVAILABLE if no verdict is possible", async () => {
    expect(await shown(await handle(closed)({ authorization: `Bearer ${jwts.good}` }))).toEqual(
      httpAnswers[503],
    );
  });
  test("reads the JWT with extract, and rejects the request if extract throws", async () => {
    expect(await shown(await handle(verifier, fromCookie)({ cookie: `a=b; session=${jwts.good}` }))).toEqual(
      httpAnswers[200],
    );
    expect(await shown(await handle(verifier, fromCookie)({ cookie: "session=%" }))).toEqual(
      httpAnswers[401],
    );
    expect(await shown(await handle(verifier, fromCookie)({ authorization: `Bearer ${jwts.good}` }))).toEqual(
      httpAnswers[401],
    );
  });
});

describe("a node:http handler", () => {
  const handle = async (by: Verifier, headers: Record<string, string>) => {
    const guard = verifierMiddleware(by);
    const server = createServer((request, response) =>
      guard(request, response, () => response.end(`hello ${sessionClaimsOf(request).memberId}`)),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    return fetch(`http://127.0.0.1:${port}/`, { headers: { ...headers, connection: "close" } });
  };
  test.each(cases)("authenticates a request with %s", async (_, headers, status) => {
    expect(await shown(await handle(verifier, headers()))).toEqual(httpAnswers[status]);
  });
  test("answers 503 or UNAVAILABLE if no verdict is possible", async () => {
    expect(await shown(await handle(closed, { authorization: `Bearer ${jwts.good}` }))).toEqual(
      httpAnswers[503],
    );
  });
  test("has no claims without the middleware", async () => {
    const server = createServer((request, response) => {
      expect(() => sessionClaimsOf(request)).toThrow(/did not pass verifierMiddleware/);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    expect((await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).status).toBe(200);
    server.close();
  });
});

/** The parts of an answer that are compared. */
async function shown(response: Response) {
  const body = await response.text();
  const { status, headers } = response;
  const header = (name: string) => headers.get(name);
  const about = [header("www-authenticate"), header("retry-after"), header("cache-control")];
  return { status, body: status === 200 ? body : Object.keys(JSON.parse(body) as object), about };
}

const challenge = expect.stringMatching(/^Bearer( error="invalid_token", error_description="[^"]+")?$/);
const httpAnswers: Record<number, object> = {
  200: { status: 200, body: "hello ada", about: [null, null, null] },
  401: { status: 401, body: ["message"], about: [challenge, null, "no-store"] },
  503: { status: 503, body: ["message"], about: [null, "1", "no-store"] },
};

/** The codes of gRPC and Connect have the same numbers. */
const rpcAnswers: Record<number, object> = {
  200: { code: undefined, challenge: "" },
  401: { code: Code.Unauthenticated, challenge },
  503: { code: Code.Unavailable, challenge: "" },
};

describe.each([
  ["gRPC", createGrpcTransport],
  ["Connect", (options: { baseUrl: string }) => createConnectTransport({ ...options, httpVersion: "1.1" })],
])("a Connect handler, over %s", (_, transport) => {
  const call = async (by: Verifier, headers: Record<string, string>) => {
    const members: (string | undefined)[] = [];
    const see = (context: {
      values: { get(key: typeof sessionClaimsKey): { memberId: string } | undefined };
    }) => members.push(context.values.get(sessionClaimsKey)?.memberId);
    const { url } = await serving((router) =>
      router.service(
        Health,
        {
          check: (_request, context) => (see(context), { status: Status.SERVING }),
          async *watch(_request, context) {
            see(context);
            yield { status: Status.SERVING };
          },
        },
        { interceptors: [connectInterceptor(by)] },
      ),
    );
    const client = createClient(Health, transport({ baseUrl: url }));
    const unary = await client.check({}, { headers }).then(answered, refused);
    const streamed = await drain(client.watch({}, { headers })).then(answered, refused);
    return { members, errors: [unary, streamed] };
  };
  test.each(cases)("authenticates a request with %s", async (_, headers, status) => {
    const { members, errors } = await call(verifier, headers());
    expect(members).toEqual(status === 200 ? ["ada", "ada"] : []);
    expect(errors).toEqual([rpcAnswers[status], rpcAnswers[status]]);
  });
  test("answers 503 or UNAVAILABLE if no verdict is possible", async () => {
    const { members, errors } = await call(closed, { authorization: `Bearer ${jwts.good}` });
    expect(members).toEqual([]);
    expect(errors).toEqual([rpcAnswers[503], rpcAnswers[503]]);
  });
});

describe("a grpc-js handler", () => {
  const call = async (
    by: Verifier,
    headers: Record<string, string>,
    isPublic?: (path: string) => boolean,
  ) => {
    const members: string[] = [];
    const server = new grpc.Server({
      interceptors: [verifierInterceptor(by, isPublic === undefined ? {} : { isPublic })],
    });
    server.addService(grpcServiceDefinition(Health), {
      check: (call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
        if (isPublic === undefined) members.push(claimsOfCall(call).memberId);
        else expect(() => claimsOfCall(call)).toThrow(/did not pass verifierInterceptor/);
        callback(null, { status: Status.SERVING });
      },
      watch: (call: grpc.ServerWritableStream<unknown, unknown>) => {
        members.push(claimsOfCall(call).memberId);
        call.write({ status: Status.SERVING });
        call.end();
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
    const client = grpcClient(Health, `127.0.0.1:${port}`, grpc.credentials.createInsecure());
    onTestFinished(() => {
      client.close();
      server.forceShutdown();
    });
    const metadata = metadataOf(headers);
    const unary = await answerTo((done) => client.check({}, metadata, done)).then(answered, refused);
    const streamed = await (isPublic === undefined
      ? drain(client.watch({}, metadata)).then(answered, refused)
      : answered());
    return { members, errors: [unary, streamed] };
  };
  test.each(cases)("authenticates a request with %s", async (_, headers, status) => {
    const { members, errors } = await call(verifier, headers());
    expect(members).toEqual(status === 200 ? ["ada", "ada"] : []);
    expect(errors).toEqual([rpcAnswers[status], rpcAnswers[status]]);
  });
  test("answers 503 or UNAVAILABLE if no verdict is possible", async () => {
    const { errors } = await call(closed, { authorization: `Bearer ${jwts.good}` });
    expect(errors).toEqual([rpcAnswers[503], rpcAnswers[503]]);
  });
  test("exempts public methods", async () => {
    const { errors } = await call(closed, {}, (path) => path === "/grpc.health.v1.Health/Check");
    expect(errors).toEqual([rpcAnswers[200], rpcAnswers[200]]);
  });
});

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const message of messages) expect(message).toMatchObject({ status: Status.SERVING });
}

function answered() {
  return { code: undefined, challenge: "" };
}

function refused(error: unknown) {
  if (error instanceof ConnectError) {
    return { code: error.code, challenge: error.metadata.get("www-authenticate") ?? "" };
  }
  const { code, metadata } = error as grpc.ServiceError;
  return { code, challenge: metadata.get("www-authenticate").join() };
}
