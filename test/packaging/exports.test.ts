import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Application, compilePatience, installPackage } from "../support/process/installed-package.ts";

/** A program that uses the exports of the package, with copies of the peer dependencies that only the application has. */
const program = `
import { Server, ServerCredentials, type ServiceError, credentials } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { connectSessiond } from "sessiond/client";
import { grpcClient, grpcServiceDefinition } from "sessiond/grpc";
import { errorInfoOf } from "sessiond/error-info";
import { createTranscoder } from "sessiond/rest";
import { RevokeRequestSchema, RevokeResponseSchema, SessionService } from "sessiond/gen/session/v1/session_service_pb";
import { SessionState } from "sessiond/gen/session/v1/session_pb";
import { SessionService as Stytch } from "sessiond/gen/compat/stytch/v1/session_service_pb";

const { sessions } = connectSessiond({ baseUrl: "http://127.0.0.1:1", defaultTimeoutMs: 500 });
const refused: unknown = await sessions.get({ id: "x" }).catch((error: unknown) => error);
const request = create(RevokeRequestSchema, { target: { case: "memberId", value: "alice" } });
// @ts-expect-error: the stubs are typed
const wrong: ServiceError = request;

const server = new Server();
server.addService(grpcServiceDefinition(SessionService), {
  revoke: (_call: unknown, callback: (error: null, response: object) => void) =>
    callback(null, create(RevokeResponseSchema, { revision: 7n })),
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => {
  const client = grpcClient(SessionService, "127.0.0.1:" + port, credentials.createInsecure());
  client.revoke(request, (error, response) => {
    client.close();
    server.forceShutdown();
    console.log(JSON.stringify({
      method: SessionService.method.revoke.name,
      definition: Object.keys(grpcServiceDefinition(SessionService)).length,
      active: SessionState.ACTIVE,
      stytch: Stytch.typeName,
      info: errorInfoOf(refused) ?? null,
      routes: createTranscoder({ services: [] }).routes.length,
      target: wrong === undefined ? null : request.target.case,
      revoked: error?.message ?? String(response?.revision),
    }));
  });
});
`;

let application: Application;

beforeAll(async () => {
  application = await installPackage();
}, compilePatience);

afterAll(() => application.remove());

test(
  "an application gets typed stubs and clients, which work with its own copies of the peer dependencies",
  async () => {
    const [output = ""] = await application.run("user", program);
    expect(JSON.parse(output)).toEqual({
      method: "Revoke",
      definition: 10,
      active: 1,
      stytch: "compat.stytch.v1.SessionService",
      info: null,
      routes: 0,
      target: "memberId",
      revoked: "7",
    });
  },
  compilePatience,
);

test("packages whose classes cross the API are peer dependencies with ranges", () => {
  const {
    dependencies,
    peerDependencies,
  }: Record<string, Record<string, string>> = JSON.parse(readFileSync("package.json", "utf8"));
  const names = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node", "@grpc/grpc-js"];
  expect(Object.keys(peerDependencies ?? {})).toEqual(names);
  for (const range of Object.values(peerDependencies ?? {})) expect(range).toMatch(/^\^\d/);
  expect(Object.keys(dependencies ?? {})).toEqual(expect.not.arrayContaining(names));
});
