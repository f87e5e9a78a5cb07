import { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type HandlerContext,
  type Interceptor,
  createConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
} from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { callRecordKey } from "../rpc/call-record.ts";
import type { CallLog } from "./call-log.ts";
import { ConnectUnary } from "./connect-unary.ts";
import { withReadableGrpcMessage } from "./grpc-message.ts";
import { GrpcUnary } from "./grpc-unary.ts";
import type { FailureReporter, HttpRequest, HttpResponse, RequestHandler } from "./handler.ts";
import type { StreamTaker } from "./http2.ts";
import { blameMessage } from "./message-fault.ts";
import { saneProtocolHeaders } from "./protocol-headers.ts";
import { compressions } from "./response-compression.ts";
import { type JsonOptions, strictJson } from "./strict-json.ts";
import { type UnaryMethod, type UnarySpec, prepareUnary } from "./unary-method.ts";

/** What RPC is served from. */
export interface RpcOptions extends Omit<ConnectRouterOptions, "jsonOptions"> {
  /** Adds the services. */
  readonly routes: (router: ConnectRouter) => void;
  readonly requestGate: (context: HandlerContext) => Promise<void>;
  readonly interceptors: Interceptor[];
  readonly calls: CallLog;
  /** Longest request message, in bytes. */
  readonly readMaxBytes: number;
  /** Longest deadline, in milliseconds; longer ones are cut to it. */
  readonly maxTimeoutMs: number;
  /** Told what goes wrong outside of any answer. */
  readonly onError: FailureReporter;
}

/** RPC on an HTTP server. */
export interface Rpc {
  /** Every path that is served. */
  readonly paths: ReadonlySet<string>;
  readonly services: ReadonlySet<DescService>;
  /** Answers a request for one of the paths. Rejects where the answer cannot be written, mostly as the client is gone. */
  readonly handle: RequestHandler;
  /** Answers plain unary gRPC calls, which need none of what makes `handle` slow. */
  readonly takeStream: StreamTaker;
}

/**
 * Serves gRPC, gRPC-Web and Connect. In place of connectNodeAdapter, which calls messages that cannot be read an internal
 * error, repeats parts of them in its answers and writes what goes wrong to the console.
 */
export function createRpc({ routes, calls, onError, ...options }: RpcOptions): Rpc {
  const router = createConnectRouter({ acceptCompression: [...compressions], ...options });
  const unary = new Map<string, UnaryMethod>();
  routes(
    strictly(router, (spec, jsonOptions) => {
      unary.set(pathOf(spec.method), prepareUnary(spec, options.interceptors, jsonOptions));
    }),
  );
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(
    path: string,
    request: HttpRequest,
    response: HttpResponse,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const handler = handlers.get(path);
    if (handler === undefined) throw new Error("RPC was given a path that is not its own");
    response.once("finish", () => discardRest(request));
    withReadableGrpcMessage(response);
    const values = calls.contextValues(request);
    const universal = universalRequestFromNodeRequest(request, response, undefined, values);
    saneProtocolHeaders(universal.header, options.maxTimeoutMs);
    const answer = await handler({ ...universal, body });
    // Neither the gate nor a handler had a say: what failed was reading the message.
    const isUnread = values.get(callRecordKey).code === undefined;
    await universalResponseToNodeResponse(isUnread ? await blameMessage(answer) : answer, response);
  }

  const { requestGate: gate, readMaxBytes, maxTimeoutMs } = options;
  const common = { methods: unary, gate, calls, readMaxBytes, maxTimeoutMs };
  const grpc = new GrpcUnary({
    ...common,
    onError,
    replay: ({ stream, headers, rawHeaders, record }, { bytes, whole }) => {
      const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
      const response = new Http2ServerResponse(stream);
      calls.adopt(request, record, response);
      return answer(headers[":path"] ?? "", request, response, replayed(bytes, whole ? undefined : request));
    },
  });

  const connect = new ConnectUnary({
    ...common,
    replay: (request, response, { bytes, whole }) =>
      answer(request.url ?? "", request, response, replayed(bytes, whole ? undefined : request)),
  });

  return {
    paths: new Set(handlers.keys()),
    services: new Set(router.handlers.map((handler) => handler.service)),
    takeStream: (stream, headers, rawHeaders) => grpc.take(stream, headers, rawHeaders),
    handle: (request, response) =>
      connect.take(request, response) ??
      answer((request.url ?? "").split("?", 1)[0] ?? "", request, response, chunksOf(request)),
  };
}

/** By default whoever stops to read destroys the request, and with it, silently, the use of its connection. */
function chunksOf(request: HttpRequest): AsyncIterable<Uint8Array> {
  return request.iterator({ destroyOnReturn: false });
}

/** A body of which `start` has been read; `rest` has what is still to come. */
async function* replayed(start: Uint8Array, rest: HttpRequest | undefined): AsyncGenerator<Uint8Array> {
  yield start;
  if (rest !== undefined) yield* chunksOf(rest);
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * Throws the rest of a body away that was only read in part, as the message was too large. Left where it is, the client
 * would wait with its next request on the connection. The listener's request timeout bounds how long this goes on.
 */
function discardRest(request: HttpRequest): void {
  if (request.readableEnded || request.destroyed) return;
  // An iterator that was left alone listens for this, and as long as somebody does, nothing flows.
  request.removeAllListeners("readable").resume();
}

/** A router that gives each method the JSON options of its own input, and tells of every unary one. */
function strictly(
  router: ConnectRouter,
  onUnary: (spec: UnarySpec, jsonOptions: JsonOptions) => void,
): ConnectRouter {
  const strict: ConnectRouter = {
    handlers: router.handlers,
    rpc(method, implementation) {
      const spec = createMethodImplSpec(method, implementation);
      const jsonOptions = strictJson(method.input);
      if (spec.kind === "unary") onUnary(spec, jsonOptions);
      router.rpc(method, implementation, { jsonOptions });
      return strict;
    },
    service(service, implementation) {
      const { methods } = createServiceImplSpec(service, implementation);
      // The pairs fit each other, which the router's type cannot say of a method that is not known by name.
      for (const { method, impl } of Object.values(methods)) strict.rpc(method, impl as never);
      return strict;
    },
  };
  return strict;
}
