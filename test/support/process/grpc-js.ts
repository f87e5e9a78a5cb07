import type { DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Metadata as GrpcMetadata, type Metadata, type ServiceError, credentials } from "@grpc/grpc-js";
import { afterAll } from "vitest";
import { type GrpcClient, grpcClient } from "../../../src/client/grpc.ts";

export type CallHeaders = Readonly<Record<string, string>>;

/** The unary calls of a service; they reject with the ServiceError of `@grpc/grpc-js`. */
export type GrpcJsCalls<S extends DescService> = {
  readonly [Name in keyof S["method"]]: (
    request: MessageInitShape<S["method"][Name]["input"]>,
    headers: CallHeaders,
  ) => Promise<MessageShape<S["method"][Name]["output"]>>;
};

/** A client of `@grpc/grpc-js` for the tests of a file. */
export function grpcJsClient<S extends DescService>(
  desc: S,
  { port }: { readonly port: number },
): GrpcClient<S> {
  const client = grpcClient(desc, `127.0.0.1:${port}`, credentials.createInsecure());
  afterAll(() => client.close());
  return client;
}

export function grpcJsCalls<S extends DescService>(
  desc: S,
  service: { readonly port: number },
): GrpcJsCalls<S> {
  // Methods are known only at run time.
  const client = grpcJsClient(desc, service) as unknown as Record<string, UntypedMethod>;
  const callOf = (name: string) => (request: object, headers: CallHeaders) =>
    answerTo((done) => client[name]?.(request, metadataOf(headers), { deadline: Date.now() + 15_000 }, done));
  const calls: Record<string, unknown> = {};
  for (const { localName } of desc.methods) calls[localName] = callOf(localName);
  return calls as GrpcJsCalls<S>;
}

export function metadataOf(headers: CallHeaders): Metadata {
  const metadata = new GrpcMetadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

/** Converts a call with a callback to a promise that rejects with the ServiceError. */
export function answerTo<T>(call: (done: Callback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (error !== null) reject(error);
      else if (response === undefined) reject(new Error("an answer without a message"));
      else resolve(response);
    });
  });
}

type Callback<T> = (error: ServiceError | null, response?: T) => void;
type UntypedMethod = (
  request: object,
  metadata: Metadata,
  options: object,
  done: Callback<unknown>,
) => unknown;
