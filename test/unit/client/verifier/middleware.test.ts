import * as grpc from "@grpc/grpc-js";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { grpcServiceDefinition } from "../../../../src/client/grpc.ts";
import type { MiddlewareOptions } from "../../../../src/client/verifier/middleware/authenticate-request.ts";
import {
  sessionClaimsOf as claimsOfCall,
  verifierInterceptor as grpcInterceptor,
} from "../../../../src/client/verifier/middleware/grpc.ts";
import { sessionClaimsOf } from "../../../../src/client/verifier/middleware/node.ts";
import type { Verifier } from "../../../../src/client/verifier/verifier.ts";
import {
  type Headers,
  fromServer,
  grpcJsClientOf,
  guardedHandlers,
} from "../../../support/fixtures/guarded-handlers.ts";
import { answerTo } from "../../../support/process/grpc-js.ts";
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

describe.each(guardedHandlers)("%s", (_, call, answers) => {
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
