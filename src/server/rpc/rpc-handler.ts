import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { ServiceImplSpec } from "@connectrpc/connect";
import { type HttpRequest, type HttpResponse, endResponse, pathOf } from "../../transport/http-message.ts";
import { isGrpc } from "../listener/early-errors.ts";
import type { FailureReporter } from "../listener/guard.ts";
import type { StreamTaker } from "../listener/http2.ts";
import { ConnectUnary } from "./connect-exchange.ts";
import { ConnectHandlers } from "./connect-handlers.ts";
import { GrpcUnary } from "./grpc-exchange.ts";
import { type RpcMethod, type RpcServing, methodCodec } from "./rpc-method.ts";

export interface RpcOptions extends RpcServing {
  readonly services: readonly ServiceImplSpec[];
  /** Receives failures that no answer reports. */
  readonly onError: FailureReporter;
}

export interface Rpc {
  /** All served paths. */
  readonly paths: ReadonlySet<string>;
  readonly services: ReadonlySet<DescService>;
  /**
   * Answers requests for these paths, and gRPC requests for unknown ones; undefined for everything else. Rejects if the answer
   * cannot be written, mostly because the client is gone.
   */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void> | undefined;
  /** Answers plain unary gRPC calls as `handle` would, at a fraction of its cost. */
  readonly takeStream: StreamTaker;
}

/**
 * Serves gRPC, gRPC-Web and Connect. Unlike connectNodeAdapter it treats malformed messages as the caller's fault, never
 * repeats parts of a message in an error, and reports failures instead of writing them to the console.
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
      return refuse(request, response, 405, { allow: allowed.join(", ") });
    }
    return method.handle === undefined || (request.method === "POST" && isGrpc(request))
      ? handlers.serve(method, request, response)
      : connect.serve(method, method.handle, request, response);
  }

  return {
    paths: new Set(methods.keys()),
    services: new Set(services.map(({ service }) => service)),
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

/** Answers with trailers only, as gRPC clients expect for a method that does not exist. */
function refuseUnknownMethod(request: HttpRequest, response: HttpResponse): Promise<void> {
  const contentType = request.headers["content-type"] ?? "application/grpc";
  const status = { "grpc-status": "12", "grpc-message": "no such method" };
  return refuse(request, response, 200, { "content-type": contentType, ...status });
}

async function refuse(
  request: HttpRequest,
  response: HttpResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.statusCode = status;
  // Not by writeHead, after which Node would send an empty body instead of END_STREAM on the headers.
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  endResponse(response);
  request.resume();
}
