import { type DescService, create, createFileRegistry, fromBinary, getOption } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { credentials, status as grpcStatus } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import {
  type ServerReflectionResponse,
  ServerReflection as V1,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { reflectionServices } from "../../../src/rpc/grpc/reflection.ts";
import { serving } from "./serving.ts";

const services: DescService[] = [SessionService, Health];
const listed = [...services, V1, V1Alpha].map(({ typeName }) => typeName);

const servingReflection = () =>
  serving((router) => {
    for (const { methods } of reflectionServices(services, [file_google_rpc_error_details])) {
      for (const { method, impl } of Object.values(methods)) router.rpc(method, impl as never);
    }
  });

type Ask = Exclude<Parameters<ReturnType<typeof talk>["ask"]>[0], undefined>;

/** A reflection conversation of either version through grpc-js: one answer per question. */
function talk(version: typeof V1 | typeof V1Alpha, port: number) {
  // The two versions have the same messages; TypeScript tells them apart by the names in their types.
  const client = grpcClient(version as typeof V1, `127.0.0.1:${port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  const call = client.serverReflectionInfo();
  const answers: AsyncIterator<ServerReflectionResponse> = call[Symbol.asyncIterator]();
  return {
    ask: async (messageRequest: NonNullable<Parameters<typeof call.write>[0]["messageRequest"]>) => {
      call.write({ host: "me", messageRequest });
      const { value } = await answers.next();
      const { validHost, messageResponse } = value as ServerReflectionResponse;
      expect(validHost).toBe("me");
      return messageResponse;
    },
    end: async () => {
      call.end();
      expect(await answers.next()).toMatchObject({ done: true });
    },
  };
}

/** The order in which files can be loaded; throws if one imports what is not there. */
function importsFirst(file: FileDescriptorProto, files: FileDescriptorProto[]): FileDescriptorProto[] {
  const imports = file.dependency.flatMap((path) => {
    const imported = files.find(({ name }) => name === path);
    if (imported === undefined) throw new Error(`${file.name} imports ${path}, which was not sent`);
    return importsFirst(imported, files);
  });
  return [...new Set([...imports, file])];
}

describe.each([
  ["v1", V1],
  ["v1alpha", V1Alpha],
] as const)("%s", (_, version) => {
  test("lists the services", async () => {
    const { port } = await servingReflection();
    const { ask, end } = talk(version, port);
    const { value } = await ask({ case: "listServices", value: "" });
    expect(value).toMatchObject({ service: listed.map((name) => ({ name })) });
    await end();
  });

  test("answers a symbol with its file and all imports, options included", async () => {
    const { port } = await servingReflection();
    const { ask, end } = talk(version, port);
    const answer = await ask({ case: "fileContainingSymbol", value: "session.v1.SessionService.Revoke" });
    if (answer.case !== "fileDescriptorResponse") throw new Error(`got ${answer.case}`);
    const file = answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    expect(new Set(file.map(({ name }) => name)).size).toBe(file.length);
    const [asked] = file;
    if (asked?.name !== SessionService.file.proto.name) throw new Error(`got ${asked?.name} first`);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(asked, file) }));
    const method = registry.getService("session.v1.SessionService")?.method["revoke"];
    if (method === undefined) throw new Error("Revoke is gone");
    expect(getOption(method, http)).toEqual(getOption(SessionService.method.revoke, http));
    expect(getOption(method, http).pattern.case).toBe("post");
    await end();
  });

  const healthFile = "grpc/health/v1/health.proto";
  const httpFile = "google/api/http.proto";
  const symbol = (value: string): Ask => ({ case: "fileContainingSymbol", value });
  test.each<[string, Ask, string]>([
    ["a file", { case: "fileByFilename", value: healthFile }, healthFile],
    ["an imported file", { case: "fileByFilename", value: httpFile }, httpFile],
    ["a further file", symbol("google.rpc.ErrorInfo"), "google/rpc/error_details.proto"],
    ["a service", symbol("grpc.health.v1.Health"), healthFile],
    ["a method", symbol("grpc.health.v1.Health.Check"), healthFile],
    ["a field", symbol("google.api.Http.rules"), httpFile],
    ["a oneof", symbol("google.api.HttpRule.pattern"), httpFile],
    ["a nested enum", symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"), healthFile],
    ["an enum value", symbol("grpc.health.v1.HealthCheckResponse.NOT_SERVING"), healthFile],
    ["an extension's name", symbol("google.api.http"), "google/api/annotations.proto"],
    [
      "an extension's number",
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.MethodOptions", extensionNumber: http.number },
      },
      "google/api/annotations.proto",
    ],
  ])("finds %s", async (_, ask, name) => {
    const { port } = await servingReflection();
    const answer = await talk(version, port).ask(ask);
    if (answer.case !== "fileDescriptorResponse") throw new Error(`got ${answer.case}`);
    const [first] = answer.value.fileDescriptorProto;
    expect(fromBinary(FileDescriptorProtoSchema, first ?? new Uint8Array()).name).toBe(name);
  });

  test("knows the extensions of a message", async () => {
    const { port } = await servingReflection();
    const { ask } = talk(version, port);
    const options = await ask({ case: "allExtensionNumbersOfType", value: "google.protobuf.MethodOptions" });
    expect(options).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: {
        baseTypeName: "google.protobuf.MethodOptions",
        extensionNumber: expect.arrayContaining([http.number]),
      },
    });
    const none = await ask({ case: "allExtensionNumbersOfType", value: "google.api.Http" });
    expect(none).toMatchObject({ case: "allExtensionNumbersResponse", value: { extensionNumber: [] } });
  });

  test.each<[string, Ask]>([
    ["file", { case: "fileByFilename", value: "no/such.proto" }],
    ["symbol", symbol("no.Such")],
    ["symbol with a leading dot", symbol(".grpc.health.v1.Health")],
    ["symbol without a name", symbol("")],
    [
      "extension",
      { case: "fileContainingExtension", value: { containingType: "google.api.Http", extensionNumber: 1 } },
    ],
    ["extended message", { case: "allExtensionNumbersOfType", value: "no.Such" }],
  ])("answers NOT_FOUND to an unknown %s, and continues the stream", async (_, unknown) => {
    const { port } = await servingReflection();
    const { ask, end } = talk(version, port);
    expect(await ask(unknown)).toMatchObject({
      case: "errorResponse",
      value: { errorCode: grpcStatus.NOT_FOUND, errorMessage: expect.stringContaining("is not known here") },
    });
    expect(await ask({ case: "listServices", value: "" })).toMatchObject({ case: "listServicesResponse" });
    await end();
  });

  test("answers INVALID_ARGUMENT to an empty question", async () => {
    const { port } = await servingReflection();
    expect(await talk(version, port).ask({ case: undefined })).toMatchObject({
      case: "errorResponse",
      value: { errorCode: grpcStatus.INVALID_ARGUMENT },
    });
  });
});
