import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { requireNode } from "../transport/node-version.ts";

requireNode();

/**
 * The definition of a service in the form of `@grpc/grpc-js`, one entry per RPC under its name in camel case.
 * Goes into `grpc.makeGenericClientConstructor` and `server.addService` alike.
 */
export type GrpcServiceDefinition<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: grpc.MethodDefinition<
    MessageShape<Service["method"][Name]["input"]>,
    MessageShape<Service["method"][Name]["output"]>
  >;
};

/** A `@grpc/grpc-js` client with one typed method per RPC. Close it when done: it holds connections. */
export type GrpcClient<Service extends DescService> = grpc.Client & {
  readonly [Name in keyof Service["method"]]: GrpcMethod<Service["method"][Name]>;
};

/** The signatures `@grpc/grpc-js` gives an RPC of this kind. Requests may be messages or their init objects. */
export type GrpcMethod<Method extends DescMethod> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? UnaryMethod<Input, Output>
    : Method extends DescMethodServerStreaming<infer Input, infer Output>
      ? ServerStreamingMethod<Input, Output>
      : Method extends DescMethodClientStreaming<infer Input, infer Output>
        ? ClientStreamingMethod<Input, Output>
        : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? BidiStreamingMethod<Input, Output>
          : never;

/** Receives the outcome of a call with one answer: an error with a gRPC status code, or the message. */
export type GrpcCallback<Output extends DescMessage> = (
  error: grpc.ServiceError | null,
  response?: MessageShape<Output>,
) => void;

interface UnaryMethod<Input extends DescMessage, Output extends DescMessage> {
  (request: MessageInitShape<Input>, callback: GrpcCallback<Output>): grpc.ClientUnaryCall;
  (
    request: MessageInitShape<Input>,
    metadataOrOptions: grpc.Metadata | grpc.CallOptions,
    callback: GrpcCallback<Output>,
  ): grpc.ClientUnaryCall;
  (
    request: MessageInitShape<Input>,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: GrpcCallback<Output>,
  ): grpc.ClientUnaryCall;
}

interface ServerStreamingMethod<Input extends DescMessage, Output extends DescMessage> {
  (
    request: MessageInitShape<Input>,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<MessageShape<Output>>;
  (
    request: MessageInitShape<Input>,
    metadata: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<MessageShape<Output>>;
}

interface ClientStreamingMethod<Input extends DescMessage, Output extends DescMessage> {
  (callback: GrpcCallback<Output>): grpc.ClientWritableStream<MessageInitShape<Input>>;
  (
    metadataOrOptions: grpc.Metadata | grpc.CallOptions,
    callback: GrpcCallback<Output>,
  ): grpc.ClientWritableStream<MessageInitShape<Input>>;
  (
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: GrpcCallback<Output>,
  ): grpc.ClientWritableStream<MessageInitShape<Input>>;
}

interface BidiStreamingMethod<Input extends DescMessage, Output extends DescMessage> {
  (options?: grpc.CallOptions): grpc.ClientDuplexStream<MessageInitShape<Input>, MessageShape<Output>>;
  (
    metadata: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientDuplexStream<MessageInitShape<Input>, MessageShape<Output>>;
}

/**
 * Creates a `@grpc/grpc-js` client for a generated service. There is no code generator between the two, and
 * none is needed: the descriptor that `protoc-gen-es` generates knows everything.
 *
 * ```ts
 * import { credentials, Metadata } from "@grpc/grpc-js";
 * import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
 *
 * const client = grpcClient(Health, "localhost:8080", credentials.createInsecure());
 * const metadata = new Metadata();
 * metadata.set("authorization", "Bearer …");
 * client.check({ service: "" }, metadata, { deadline: Date.now() + 1_000 }, (error, response) => {
 *   console.log(error?.code ?? response?.status);
 *   client.close();
 * });
 * ```
 *
 * Throws if an RPC is named like a method of `grpc.Client`, which it would hide.
 */
export function grpcClient<Service extends DescService>(
  service: Service,
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
): GrpcClient<Service> {
  for (const { localName } of service.methods) {
    if (localName in grpc.Client.prototype) {
      throw new Error(
        `${service.typeName}: the RPC "${localName}" would hide the method "${localName}" of every grpc-js client; call grpcServiceDefinition and make the client yourself`,
      );
    }
  }
  const Client = grpc.makeGenericClientConstructor(grpcServiceDefinition(service), service.typeName);
  // grpc-js makes the methods while it runs; the definition they are made from is what GrpcClient describes.
  return new Client(address, credentials, options) as unknown as GrpcClient<Service>;
}

/** Creates the `@grpc/grpc-js` definition of a generated service, for `server.addService` or a client of one's own. */
export function grpcServiceDefinition<Service extends DescService>(
  service: Service,
): GrpcServiceDefinition<Service> {
  const entries = service.methods.map((method) => [method.localName, methodDefinition(method)] as const);
  // Object.fromEntries forgets the names; they are those of Service["method"], where protobuf-es uses localName too.
  return Object.fromEntries(entries) as unknown as GrpcServiceDefinition<Service>;
}

function methodDefinition(method: DescMethod) {
  const { methodKind, input, output } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    originalName: method.localName,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: serializer(input),
    requestDeserialize: deserializer(input),
    responseSerialize: serializer(output),
    responseDeserialize: deserializer(output),
  };
}

/** A message is taken as it is, an init object is made one; what fits neither fails the call with INTERNAL. */
function serializer<Desc extends DescMessage>(desc: Desc): grpc.serialize<MessageInitShape<Desc>> {
  return (message) => {
    const bytes = toBinary(desc, create(desc, message));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer<Desc extends DescMessage>(desc: Desc): grpc.deserialize<MessageShape<Desc>> {
  return (bytes) => fromBinary(desc, bytes);
}
