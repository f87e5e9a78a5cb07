import { type DescMethod, type Message, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import { parseJsonMessage } from "../../rest/binding/bind.ts";
import { badRequest } from "../../rest/errors/failure.ts";
import { Call, clientGone } from "../../transport/call.ts";
import { type HttpRequest, type HttpResponse, onClientGone } from "../../transport/http-message.ts";
import type { Pipeline, UnaryHandler } from "../../transport/pipeline.ts";
import type { CallLog } from "../observability/call-log.ts";

/** What all RPC is served with. */
export interface RpcServing {
  readonly pipeline: Pipeline;
  readonly calls: CallLog;
}

/** A method that RPC serves. */
export interface RpcMethod {
  readonly spec: MethodImplSpec;
  readonly codec: MethodCodec;
  /** For unary methods. */
  readonly handle: UnaryHandler | undefined;
}

/** The messages of a method as bytes. Bytes that are not a message throw INVALID_ARGUMENT, without repeating any of them. */
export interface MethodCodec {
  readonly decodeBinary: (bytes: Uint8Array) => Message;
  readonly decodeJson: (bytes: Uint8Array) => Message;
  readonly encodeBinary: (message: Message) => Uint8Array;
  readonly encodeJson: (message: Message) => Uint8Array;
  /** How Connect's handlers read and write JSON. */
  readonly jsonOptions: JsonOptions;
}

/** JSON options of Connect's handlers. Its serialization also takes a text decoder, which its router's types omit. */
export type JsonOptions = NonNullable<UniversalHandlerOptions["jsonOptions"]> & {
  readonly textDecoder: { decode(bytes?: Uint8Array): string };
};

/**
 * Makes the codec of a method. Its JSON is read as strictly as that of REST: Connect replaces bytes that are not UTF-8, so that
 * two names may become one, ignores unknown members, and repeats parts of the message in its errors, where a token may be.
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
      // Connect parses text: the canonical text of the message that was checked is read as that message again.
      textDecoder: { decode: (bytes = new Uint8Array()) => toJsonString(input, decodeJson(bytes)) },
    },
  };
}

/** The error for bytes that are not a message in the encoding and content type that the request names. */
export function malformedMessage(): ConnectError {
  return new ConnectError("the message does not match its content type and encoding", Code.InvalidArgument);
}

/** The error for a message over the limit. */
export function messageTooLarge(readMaxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted);
}

/** The error for a deadline header that cannot be read. */
export function malformedTimeout(header: string): Error {
  return badRequest("header", header, "not a timeout");
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
