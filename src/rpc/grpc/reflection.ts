import type { DescFile, DescService } from "@bufbuild/protobuf";
import { Code, type ServiceImplSpec, createServiceImplSpec } from "@connectrpc/connect";
import {
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest as RequestV1,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ReflectionV1Alpha,
  type ServerReflectionRequest as RequestV1Alpha,
} from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { type DescriptorIndex, createDescriptorIndex } from "./descriptor-index.ts";

/**
 * Serves grpc.reflection v1 and v1alpha for the given services and for reflection itself. `files` are further files that clients
 * look up, such as those of error details. Answers have no comments, because generated code has none.
 */
export function reflectionServices(
  services: readonly DescService[],
  files: readonly DescFile[] = [],
): ServiceImplSpec[] {
  const listed = new Set([...services, ReflectionV1, ReflectionV1Alpha]);
  const index = createDescriptorIndex([...Array.from(listed, ({ file }) => file), ...files]);
  async function* converse<Request extends RequestV1 | RequestV1Alpha>(requests: AsyncIterable<Request>) {
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(index, listed, request),
      };
    }
  }
  return [
    createServiceImplSpec<typeof ReflectionV1>(ReflectionV1, {
      serverReflectionInfo: (requests) => converse(requests),
    }),
    createServiceImplSpec<typeof ReflectionV1Alpha>(ReflectionV1Alpha, {
      serverReflectionInfo: (requests) => converse(requests),
    }),
  ];
}

/** One answer fits both versions, because they differ in their package only. */
function answer(
  index: DescriptorIndex,
  services: Iterable<DescService>,
  { messageRequest: ask }: RequestV1 | RequestV1Alpha,
) {
  switch (ask.case) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: { service: Array.from(services, ({ typeName }) => ({ name: typeName })) },
      } as const;
    case "fileByFilename":
      return files(index.fileNamed(ask.value), `file "${ask.value}"`);
    case "fileContainingSymbol":
      return files(index.fileOfSymbol(ask.value), `symbol "${ask.value}"`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = ask.value;
      const what = `extension ${extensionNumber} of "${containingType}"`;
      return files(index.fileOfExtension(containingType, extensionNumber), what);
    }
    case "allExtensionNumbersOfType": {
      const numbers = index.extensionNumbers(ask.value);
      if (numbers === undefined) return failure(Code.NotFound, `message "${ask.value}" is not known here`);
      return {
        case: "allExtensionNumbersResponse",
        value: { baseTypeName: ask.value, extensionNumber: numbers },
      } as const;
    }
    case undefined:
      break;
  }
  return failure(Code.InvalidArgument, "the request asks for nothing: set one field of message_request");
}

function files(fileDescriptorProto: Uint8Array[] | undefined, what: string) {
  if (fileDescriptorProto === undefined) return failure(Code.NotFound, `${what} is not known here`);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
}

/** The stream continues after this answer. Connect's codes are those of gRPC. */
function failure(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse", value: { errorCode, errorMessage } } as const;
}
