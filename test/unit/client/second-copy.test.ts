import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as connect from "@connectrpc/connect";
import type * as connectNode from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterAll, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Health, type HealthCheckResponse } from "../../../gen/grpc/health/v1/health_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcServiceDefinition } from "../../../src/client/grpc.ts";
import { copyPackage } from "../../support/process/installed-package.ts";
import { serving } from "../rpc/serving.ts";

const folder = await mkdtemp(join(tmpdir(), "sessiond-copies-"));
for (const name of [
  "@bufbuild/protobuf",
  "@connectrpc/connect",
  "@connectrpc/connect-node",
  "@grpc/grpc-js",
]) {
  copyPackage(name, join(folder, "node_modules"));
}
const requireCopy = createRequire(join(folder, "index.js"));
const connectCopy = requireCopy("@connectrpc/connect") as typeof connect;
const connectNodeCopy = requireCopy("@connectrpc/connect-node") as typeof connectNode;
const grpcCopy = requireCopy("@grpc/grpc-js") as typeof grpc;

afterAll(() => rm(folder, { recursive: true }));

const detail = {
  desc: ErrorInfoSchema,
  value: { reason: "SESSION_UNKNOWN", domain: "sessiond", metadata: { problem: "key" } },
};

/** Answers Check with an error that has ErrorInfo, and Watch with one message. */
function failingHealth() {
  return serving((router) =>
    router.service(Health, {
      check() {
        throw new connect.ConnectError("no", connect.Code.Unauthenticated, undefined, [detail]);
      },
      async *watch() {
        yield {};
      },
    }),
  );
}

test("errorInfoOf reads a ConnectError of a second copy of @connectrpc/connect", async () => {
  expect(connectCopy.ConnectError).not.toBe(connect.ConnectError);
  const made = new connectCopy.ConnectError("no", connect.Code.Unauthenticated, undefined, [detail]);
  expect(errorInfoOf(made)).toMatchObject(detail.value);
  const { url } = await failingHealth();
  const client = connectCopy.createClient(Health, connectNodeCopy.createGrpcTransport({ baseUrl: url }));
  const received: unknown = await client.check({}).catch((error: unknown) => error);
  expect(Object.getPrototypeOf(received)).toBe(connectCopy.ConnectError.prototype);
  expect(errorInfoOf(received)).toMatchObject(detail.value);
});

test("a second copy of @grpc/grpc-js makes clients, and errors that errorInfoOf reads", async () => {
  expect(grpcCopy.Client).not.toBe(grpc.Client);
  const { port } = await failingHealth();
  const Client = grpcCopy.makeGenericClientConstructor(grpcServiceDefinition(Health), Health.typeName);
  const client = new Client(`127.0.0.1:${port}`, grpcCopy.credentials.createInsecure());
  const call = (name: string, ...rest: unknown[]) =>
    client[name]?.call(client, {}, metadata, ...rest) as unknown;
  const metadata = new grpcCopy.Metadata();
  const messages: HealthCheckResponse[] = [];
  for await (const message of call("watch") as AsyncIterable<HealthCheckResponse>) messages.push(message);
  expect(messages).toMatchObject([{ $typeName: "grpc.health.v1.HealthCheckResponse" }]);
  const error = await new Promise((resolve) => void call("check", resolve));
  expect(error).toMatchObject({ code: grpc.status.UNAUTHENTICATED });
  expect(errorInfoOf(error)).toMatchObject(detail.value);
  client.close();
});

test.each([undefined, null, "no", new Error("no"), { details: [null, { type: "x", value: "y" }] }])(
  "errorInfoOf returns undefined for %j, which carries no ErrorInfo",
  (error) => expect(errorInfoOf(error)).toBeUndefined(),
);
