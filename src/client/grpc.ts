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
import { errorInfoOf, isSessionRefused } from "./error-info.ts";
import { pingIntervalMs, pingTimeoutMs } from "./liveness.ts";

requireNode();

/** The definition of a service in the form of `@grpc/grpc-js`: one entry per RPC, under its name in camel case. */
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

/** The signature that `@grpc/grpc-js` gives an RPC of this kind. Requests may be messages or their init objects. */
export type GrpcMethod<Method extends DescMethod> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageInitShape<Input>, ...rest: CallArguments<Output>) => grpc.ClientUnaryCall
    : Method extends DescMethodServerStreaming<infer Input, infer Output>
      ? (
          request: MessageInitShape<Input>,
          ...rest: CallSettings
        ) => grpc.ClientReadableStream<MessageShape<Output>>
      : Method extends DescMethodClientStreaming<infer Input, infer Output>
        ? (...rest: CallArguments<Output>) => grpc.ClientWritableStream<MessageInitShape<Input>>
        : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? (...rest: CallSettings) => grpc.ClientDuplexStream<MessageInitShape<Input>, MessageShape<Output>>
          : never;

/** Receives the outcome of a call with one answer: an error with a gRPC status code, or the message. */
export type GrpcCallback<Output extends DescMessage> = (
  error: grpc.ServiceError | null,
  response?: MessageShape<Output>,
) => void;

type CallSettings =
  | []
  | [metadataOrOptions: grpc.Metadata | grpc.CallOptions]
  | [metadata: grpc.Metadata, options: grpc.CallOptions];

type CallArguments<Output extends DescMessage> = [...CallSettings, callback: GrpcCallback<Output>];

/**
 * Creates a `@grpc/grpc-js` client for a service that `protoc-gen-es` has generated. Needs no other code generator.
 *
 * ```ts
 * const client = grpcClient(Health, "localhost:8080", credentials.createInsecure());
 * client.check({ service: "" }, { deadline: Date.now() + 1_000 }, (error, response) => {
 *   console.log(error?.code ?? response?.status);
 *   client.close();
 * });
 * ```
 *
 * A call whose own credential sessiond refuses fails with INTERNAL instead of UNAUTHENTICATED, because a program that takes a
 * replaced secret for a bad session logs out every user.
 *
 * While calls wait, it pings a silent connection every 4 s and gives it up after 4 s without an answer, because a firewall may
 * forget a connection without closing it. It does not give up a connection whose set-up is never answered, which grpc-js waits for:
 * only deadlines end such calls. Options such as `grpc.keepalive_time_ms` change this: many servers of other
 * software end connections with pings that often.
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
        `${service.typeName}: the RPC "${localName}" would hide the method "${localName}" of every grpc-js client; call grpcServiceDefinition and grpc.makeGenericClientConstructor instead`,
      );
    }
  }
  const Client = grpc.makeGenericClientConstructor(grpcServiceDefinition(service), service.typeName);
  // grpc-js makes the methods at run time, from the definition.
  return new Client(address, credentials, clientOptions(options)) as unknown as GrpcClient<Service>;
}

function clientOptions(given: grpc.ClientOptions = {}): grpc.ClientOptions {
  const options = {
    "grpc.keepalive_time_ms": pingIntervalMs,
    "grpc.keepalive_timeout_ms": pingTimeoutMs,
    ...given,
  };
  const { interceptors, interceptor_providers: providers } = options;
  // grpc-js takes either interceptors or their providers.
  return providers === undefined
    ? { ...options, interceptors: [ownCredentialErrors, ...(interceptors ?? [])] }
    : { ...options, interceptor_providers: [() => ownCredentialErrors, ...providers] };
}

const ownCredentialErrors: grpc.Interceptor = (options, nextCall) =>
  new grpc.InterceptingCall(nextCall(options), {
    start(metadata, _listener, next) {
      next(metadata, { onReceiveStatus: (status, nextStatus) => nextStatus(ownCredentialStatus(status)) });
    },
  });

/** Returns any other status unchanged. */
function ownCredentialStatus(status: grpc.StatusObject): grpc.StatusObject {
  if (status.code !== grpc.status.UNAUTHENTICATED || isSessionRefused(status)) return status;
  // The client may be one of another service, with other meanings.
  if (errorInfoOf(status)?.domain !== "sessiond") return status;
  const details = `the server refuses this service's own credential: ${status.details}`;
  return { ...status, code: grpc.status.INTERNAL, details };
}

/** Creates the definition of a generated service, for `server.addService` and `makeGenericClientConstructor`. */
export function grpcServiceDefinition<Service extends DescService>(
  service: Service,
): GrpcServiceDefinition<Service> {
  const entries = service.methods.map((method) => [method.localName, methodDefinition(method)] as const);
  // Object.fromEntries loses the type of the names. Service["method"] has localName as its keys too.
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

/** Accepts a message or an init object. Throws for anything else, which fails the call with INTERNAL. */
function serializer<Desc extends DescMessage>(desc: Desc): grpc.serialize<MessageInitShape<Desc>> {
  return (message) => {
    const bytes = toBinary(desc, create(desc, message));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer<Desc extends DescMessage>(desc: Desc): grpc.deserialize<MessageShape<Desc>> {
  return (bytes) => fromBinary(desc, bytes);
}
