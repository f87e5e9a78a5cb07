import { type DescMethod, type Message, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import { parseJsonMessage } from "../../rest/binding/bind.ts";
import { malformedTimeout } from "../../rest/errors/failure.ts";
import { Call, clientGone } from "../../transport/call.ts";
import { type HttpRequest, type HttpResponse, onClientGone } from "../../transport/http-message.ts";
import type { Pipeline, UnaryHandler } from "../../transport/pipeline.ts";
import type { CallLog } from "../observability/call-log.ts";

export interface RpcServing {
  readonly pipeline: Pipeline;
  readonly calls: CallLog;
}

export interface RpcMethod {
  readonly spec: MethodImplSpec;
  readonly codec: MethodCodec;
  /** Undefined for streams. */
  readonly handle: UnaryHandler | undefined;
}

/** Decodes and encodes the messages of a method. Errors are INVALID_ARGUMENT and do not repeat any bytes. */
export interface MethodCodec {
  readonly decodeBinary: (bytes: Uint8Array) => Message;
  readonly decodeJson: (bytes: Uint8Array) => Message;
  readonly encodeBinary: (message: Message) => Uint8Array;
  readonly encodeJson: (message: Message) => Uint8Array;
  readonly jsonOptions: JsonOptions;
}

/** JSON options of Connect's handlers, with a text decoder that the types of its router omit. */
export type JsonOptions = NonNullable<UniversalHandlerOptions["jsonOptions"]> & {
  readonly textDecoder: { decode(bytes?: Uint8Array): string };
};

/**
 * Makes the codec of a method. It reads JSON as strictly as REST: Connect would replace invalid UTF-8, ignore unknown members,
 * and repeat parts of the message, which may contain a token, in its errors.
 */
export function methodCodec({ input, output }: DescMethod): MethodCodec {
  const decodeJson = (bytes: Uint8Array) =>
    parseJsonMessage(input, bytes, { unknownMembers: "refuse", registry: undefined });
  return {
    decodeBinary: (bytes) => {
      try {
        return fromBinary(input, bytes);
      } catch {
        throw malformedMessage();
      }
    },
    decodeJson,
    encodeBinary: (message) => toBinary(output, message),
    encodeJson: (message) => Buffer.from(toJsonString(output, message)),
    jsonOptions: {
      ignoreUnknownFields: false,
      // Connect parses the canonical text of the message that was checked.
      textDecoder: { decode: (bytes = new Uint8Array()) => toJsonString(input, decodeJson(bytes)) },
    },
  };
}

export function malformedMessage(): ConnectError {
  return new ConnectError("the message does not match its content type and encoding", Code.InvalidArgument);
}

export function messageTooLarge(readMaxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted);
}

/** Opens the call of a request; it is aborted if the client goes away before its answer. */
export function openCall(
  { calls, pipeline }: RpcServing,
  { spec }: RpcMethod,
  protocolName: string,
  request: HttpRequest,
  response: HttpResponse,
): Call {
  const { headers } = request;
  const values = calls.contextValues(request);
  const call = new Call({
    method: spec.method,
    protocolName,
    requestMethod: request.method ?? "",
    target: request.url ?? "",
    headers,
    values,
    maxTimeoutMs: pipeline.maxTimeoutMs,
    malformedTimeout,
  });
  onClientGone(response, () => call.abort(clientGone()));
  return call;
}
