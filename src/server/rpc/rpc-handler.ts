import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { ServiceImplSpec } from "@connectrpc/connect";
import type { Destination } from "../../rest/transcoder.ts";
import { type HttpRequest, type HttpResponse, endEmpty, pathOf } from "../../transport/http-message.ts";
import { isGrpc } from "../listener/early-errors.ts";
import type { FailureReporter } from "../listener/guard.ts";
import type { StreamTaker } from "../listener/http2.ts";
import { ConnectUnary } from "./connect-exchange.ts";
import { ConnectHandlers } from "./connect-handlers.ts";
import { GrpcUnary } from "./grpc-exchange.ts";
import { type RpcMethod, type RpcServing, methodCodec } from "./rpc-method.ts";

export interface RpcOptions extends RpcServing {
  readonly services: readonly ServiceImplSpec[];
  /** Called with errors outside of answers. */
  readonly onError: FailureReporter;
}

export interface Rpc {
  readonly paths: ReadonlySet<string>;
  readonly services: ReadonlySet<DescService>;
  /** Finds what `handle` would answer a request for these paths with. */
  readonly find: (httpMethod: string, path: string) => Destination | undefined;
  /** Answers requests for these paths and gRPC requests for unknown ones; undefined for others. Rejects if it cannot write the answer. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void> | undefined;
  /** Answers plain unary gRPC calls as `handle` does, but faster. */
  readonly takeStream: StreamTaker;
}

/**
 * Serves gRPC, gRPC-Web and Connect. Unlike connectNodeAdapter it answers malformed messages with INVALID_ARGUMENT, does not
 * repeat parts of messages in errors, and reports failures instead of writing them to the console.
 */
export function createRpc({ services, onError, ...serving }: RpcOptions): Rpc {
  const { pipeline } = serving;
  const specs = services.flatMap(({ methods }) => Object.values(methods));
  const methods = new Map<string, RpcMethod>(
    specs.map((spec) => {
      const handle = spec.kind === "unary" ? pipeline.handlerOf(spec) : undefined;
      return [
        `/${spec.method.parent.typeName}/${spec.method.name}`,
        { spec, handle, codec: methodCodec(spec.method) },
      ];
    }),
  );
  const grpc = new GrpcUnary(serving, methods, onError);
  const connect = new ConnectUnary(serving);
  const handlers = new ConnectHandlers(serving, methods.values());

  function handle(request: HttpRequest, response: HttpResponse): Promise<void> | undefined {
    const method = methods.get(pathOf(request.url ?? ""));
    if (method === undefined) return isGrpc(request) ? refuseUnknownMethod(request, response) : undefined;
    const allowed = httpMethodsOf(method);
    if (!allowed.includes(request.method ?? "")) {
      response.setHeader("allow", allowed.join(", "));
      return endEmpty(request, response, 405);
    }
    return method.handle === undefined || (request.method === "POST" && isGrpc(request))
      ? handlers.serve(method, request, response)
      : connect.serve(method, method.handle, request, response);
  }

  function find(httpMethod: string, path: string): Destination | undefined {
    const method = methods.get(path);
    if (method === undefined) return undefined;
    const allow = httpMethodsOf(method);
    return allow.includes(httpMethod)
      ? { method: method.spec.method, dialect: undefined }
      : { method: undefined, allow, dialect: undefined };
  }

  return {
    paths: new Set(methods.keys()),
    services: new Set(services.map(({ service }) => service)),
    find,
    handle,
    takeStream: (stream, headers, rawHeaders) => grpc.take(stream, headers, rawHeaders),
  };
}

function httpMethodsOf({ spec, handle }: RpcMethod): readonly string[] {
  const { idempotency } = spec.method;
  return handle !== undefined && idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
    ? ["GET", "HEAD", "POST"]
    : ["POST"];
}

/** Answers with trailers only: without a body Node sets END_STREAM on the headers. */
function refuseUnknownMethod(request: HttpRequest, response: HttpResponse): Promise<void> {
  response.setHeader("content-type", request.headers["content-type"] ?? "application/grpc");
  response.setHeader("grpc-status", "12");
  response.setHeader("grpc-message", "no such method");
  return endEmpty(request, response, 200);
}
