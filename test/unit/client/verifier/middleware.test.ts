import { once } from "node:events";
import { type RequestListener, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { Code, ConnectError, type HandlerContext, type Transport, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { grpcClient, grpcServiceDefinition } from "../../../../src/client/grpc.ts";
import type { MiddlewareOptions } from "../../../../src/client/verifier/middleware/authenticate-request.ts";
import {
  verifierInterceptor as connectInterceptor,
  sessionClaimsKey,
} from "../../../../src/client/verifier/middleware/connect.ts";
import { withSession } from "../../../../src/client/verifier/middleware/fetch.ts";
import {
  sessionClaimsOf as claimsOfCall,
  verifierInterceptor as grpcInterceptor,
} from "../../../../src/client/verifier/middleware/grpc.ts";
import { sessionClaimsOf, verifierMiddleware } from "../../../../src/client/verifier/middleware/node.ts";
import type { Verifier } from "../../../../src/client/verifier/verifier.ts";
import { serving } from "../../rpc/serving.ts";
import { answerTo, metadataOf } from "../../../support/process/grpc-js.ts";
import {
  goodClaims,
  newKey,
  scriptedService,
  signed,
  silence,
  upToDate,
  verifierOf,
} from "./scripted-service.ts";

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
  const service = await scriptedService(key);
  service.watch = (_request, context) => upToDate(context, 1, { targetId: revokedSession });
  const silent = await scriptedService(key);
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

type Headers = Readonly<Record<string, string>>;
/** Calls a server with the middleware, and returns what is compared. */
type Caller = (by: Verifier, headers: Headers, options?: MiddlewareOptions) => Promise<unknown>;

const challenge = expect.stringMatching(/^Bearer( error="invalid_token", error_description="[^"]+")?$/);
const httpAnswers: Record<number, object> = {
  200: { status: 200, body: "hello ada", about: [null, null, null] },
  401: { status: 401, body: ["message"], about: [challenge, null, "no-store"] },
  503: { status: 503, body: ["message"], about: [null, "1", "no-store"] },
};
const unauthenticated = { code: Code.Unauthenticated, challenge };
const unavailable = { code: Code.Unavailable, challenge: "" };
/** The members that handlers saw, and the outcomes of a unary call and a stream. gRPC and Connect share the codes. */
const rpcAnswers: Record<number, object> = {
  200: { members: ["ada", "ada"], outcomes: [accepted(), accepted()] },
  401: { members: [], outcomes: [unauthenticated, unauthenticated] },
  503: { members: [], outcomes: [unavailable, unavailable] },
};

const callFetch: Caller = async (by, headers, options) => {
  const handle = withSession(by, (_request, claims) => new Response(`hello ${claims.memberId}`), options);
  return shown(await handle(new Request("http://shop.test/", { headers })));
};

const callNode: Caller = (by, headers, options) => {
  const guard = verifierMiddleware(by, options);
  return fromServer(headers, (request, response) =>
    guard(request, response, () => response.end(`hello ${sessionClaimsOf(request).memberId}`)),
  );
};

/** Sends a request to a server that ends with the test. */
async function fromServer(headers: Headers, listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return shown(await fetch(`http://127.0.0.1:${port}/`, { headers: { ...headers, connection: "close" } }));
}

async function shown(response: Response) {
  const body = await response.text();
  const { status, headers } = response;
  const about = ["www-authenticate", "retry-after", "cache-control"].map((name) => headers.get(name));
  return { status, body: status === 200 ? body : Object.keys(JSON.parse(body) as object), about };
}

function connectCaller(createTransport: (baseUrl: string) => Transport): Caller {
  return async (by, headers, options) => {
    const members: (string | undefined)[] = [];
    const see = ({ values }: HandlerContext) => void members.push(values.get(sessionClaimsKey)?.memberId);
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
        { interceptors: [connectInterceptor(by, options)] },
      ),
    );
    const client = createClient(Health, createTransport(url));
    const unary = await client.check({}, { headers }).then(accepted, rejected);
    const streamed = await drain(client.watch({}, { headers })).then(accepted, rejected);
    return { members, outcomes: [unary, streamed] };
  };
}

const callGrpc: Caller = async (by, headers, options) => {
  const members: string[] = [];
  const server = new grpc.Server({ interceptors: [grpcInterceptor(by, options)] });
  server.addService(grpcServiceDefinition(Health), {
    check: (call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      members.push(claimsOfCall(call).memberId);
      callback(null, { status: Status.SERVING });
    },
    watch: (call: grpc.ServerWritableStream<unknown, unknown>) => {
      members.push(claimsOfCall(call).memberId);
      call.write({ status: Status.SERVING });
      call.end();
    },
  });
  const client = await grpcJsClientOf(server);
  const metadata = metadataOf(headers);
  const unary = await answerTo((done) => client.check({}, metadata, done)).then(accepted, rejected);
  const streamed = await drain(client.watch({}, metadata)).then(accepted, rejected);
  return { members, outcomes: [unary, streamed] };
};

/** Starts a server that ends with the test. */
async function grpcJsClientOf(server: grpc.Server) {
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", credentials);
  const client = grpcClient(Health, `127.0.0.1:${port}`, grpc.credentials.createInsecure());
  onTestFinished(() => {
    client.close();
    server.forceShutdown();
  });
  return client;
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const message of messages) expect(message).toMatchObject({ status: Status.SERVING });
}

function accepted() {
  return { code: undefined, challenge: "" };
}

function rejected(error: unknown) {
  if (error instanceof ConnectError) {
    return { code: error.code, challenge: error.metadata.get("www-authenticate") ?? "" };
  }
  const { code, metadata } = error as grpc.ServiceError;
  return { code, challenge: metadata.get("www-authenticate").join() };
}

const overGrpc = connectCaller((baseUrl) => createGrpcTransport({ baseUrl }));
const overConnect = connectCaller((baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }));

describe.each<[string, Caller, Record<number, object>]>([
  ["a Fetch-API handler", callFetch, httpAnswers],
  ["a node:http handler", callNode, httpAnswers],
  ["a Connect handler, over gRPC", overGrpc, rpcAnswers],
  ["a Connect handler, over Connect", overConnect, rpcAnswers],
  ["a grpc-js handler", callGrpc, rpcAnswers],
])("%s", (_, call, answers) => {
  test.each(cases)("authenticates a request with %s", async (_, headers, status) => {
    expect(await call(verifier, headers())).toEqual(answers[status]);
  });

  test("answers 503 or UNAVAILABLE if no verdict is possible", async () => {
    expect(await call(closed, { authorization: `Bearer ${jwts.good}` })).toEqual(answers[503]);
  });

  test("reads the JWT with extract, and rejects the request if extract throws", async () => {
    const extract: MiddlewareOptions["extract"] = (header) =>
      decodeURIComponent(/session=([^;]*)/.exec(header("cookie") ?? "")?.[1] ?? "") || undefined;
    const statusOf = (headers: Headers) => call(verifier, headers, { extract });
    expect(await statusOf({ cookie: `a=b; session=${jwts.good}` })).toEqual(answers[200]);
    expect(await statusOf({ cookie: "session=%" })).toEqual(answers[401]);
    expect(await statusOf({ authorization: `Bearer ${jwts.good}` })).toEqual(answers[401]);
  });
});

test("a node:http handler has no claims without the middleware", async () => {
  const answer = await fromServer({}, (request, response) => {
    expect(() => sessionClaimsOf(request)).toThrow(/did not pass verifierMiddleware/);
    response.end();
  });
  expect(answer).toMatchObject({ status: 200 });
});

test("a grpc-js server exempts public methods, which have no claims", async () => {
  const isPublic = (path: string) => path === "/grpc.health.v1.Health/Check";
  const server = new grpc.Server({ interceptors: [grpcInterceptor(closed, { isPublic })] });
  server.addService(grpcServiceDefinition(Health), {
    check: (call: grpc.ServerUnaryCall<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      expect(() => claimsOfCall(call)).toThrow(/did not pass verifierInterceptor/);
      callback(null, { status: Status.SERVING });
    },
  });
  const client = await grpcJsClientOf(server);
  const answer = await answerTo((done) => client.check({}, done));
  expect(answer).toMatchObject({ status: Status.SERVING });
});
