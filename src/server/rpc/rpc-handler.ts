import { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Readable, Writable } from "node:stream";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type Interceptor,
  createConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
} from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { callRecordKey } from "../../rpc/call-record.ts";
import type { RequestGate } from "../../rpc/gate.ts";
import type { CallLog } from "../observability/call-log.ts";
import { ConnectUnary } from "./connect-unary.ts";
import { withReadableGrpcMessage } from "./grpc-message.ts";
import { GrpcUnary } from "./grpc-unary.ts";
import type { FailureReporter } from "../listener/guard.ts";
import type { HttpRequest, HttpResponse, RequestHandler } from "../../transport/http-message.ts";
import type { StreamTaker } from "../listener/http2.ts";
import { blameMessage, blameStreamedMessages } from "./malformed-message.ts";
import { saneProtocolHeaders } from "./protocol-headers.ts";
import type { RequestBytes } from "./request-bytes.ts";
import { compressions } from "./response-compression.ts";
import { type JsonOptions, strictJson } from "./strict-json.ts";
import { type UnaryMethod, type UnarySpec, prepareUnary } from "./unary-method.ts";

/** What RPC is served from. */
export interface RpcOptions extends Omit<ConnectRouterOptions, "jsonOptions"> {
  /** Adds the services. */
  readonly routes: (router: ConnectRouter) => void;
  readonly requestGate: RequestGate;
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
  /** Answers plain unary gRPC calls as `handle` would, without what makes it slow. */
  readonly takeStream: StreamTaker;
  /** Answers plain unary Connect calls as `handle` would, without what makes it slow; undefined for everything else. */
  readonly take: (request: HttpRequest, response: HttpResponse) => Promise<void> | undefined;
}

/**
 * Serves gRPC, gRPC-Web and Connect. In place of connectNodeAdapter, which calls messages that cannot be read an internal
 * error, repeats parts of them in its answers and writes what goes wrong to the console.
 */
export function createRpc({ routes, calls, onError, ...options }: RpcOptions): Rpc {
  const router = createConnectRouter({
    acceptCompression: [...compressions],
    ...options,
    interceptors: [...options.interceptors, blameStreamedMessages],
  });
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
    source: Readable,
    received?: RequestBytes,
  ): Promise<void> {
    const handler = handlers.get(path);
    if (handler === undefined) throw new Error("RPC was given a path that is not its own");
    // Of HTTP/2 the stream: its response only finishes when the client has sent everything.
    const answered: Writable = "stream" in response ? response.stream : response;
    answered.once("finish", () => discardRest(source));
    withReadableGrpcMessage(response);
    const values = calls.contextValues(request);
    const universal = universalRequestFromNodeRequest(request, response, undefined, values);
    saneProtocolHeaders(universal.header, options.maxTimeoutMs);
    const answer = await handler({ ...universal, body: bodyOf(source, received) });
    // Neither the gate nor a handler had a say: what failed was reading the message.
    const isUnread = values.get(callRecordKey).code === undefined;
    await universalResponseToNodeResponse(isUnread ? await blameMessage(answer) : answer, response);
  }

  const { requestGate: gate, readMaxBytes, maxTimeoutMs } = options;
  const common = { methods: unary, gate, calls, readMaxBytes, maxTimeoutMs };
  const grpc = new GrpcUnary({
    ...common,
    onError,
    replay: ({ stream, headers, rawHeaders, record }, received) => {
      const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
      const response = new Http2ServerResponse(stream);
      calls.adopt(request, record, response);
      return answer(headers[":path"] ?? "", request, response, stream, received);
    },
  });

  const connect = new ConnectUnary({
    ...common,
    replay: (request, response, received) => answer(request.url ?? "", request, response, request, received),
  });

  return {
    paths: new Set(handlers.keys()),
    services: new Set(router.handlers.map((handler) => handler.service)),
    takeStream: (stream, headers, rawHeaders) => grpc.take(stream, headers, rawHeaders),
    take: (request, response) => connect.take(request, response),
    handle: (request, response) =>
      answer((request.url ?? "").split("?", 1)[0] ?? "", request, response, request),
  };
}

/** The body of a request of which some may have been read already. */
async function* bodyOf(source: Readable, received: RequestBytes | undefined): AsyncGenerator<Uint8Array> {
  if (received !== undefined) yield received.bytes;
  // By default whoever stops to read destroys the request, and with it, silently, the use of its connection.
  if (received?.whole !== true) yield* source.iterator({ destroyOnReturn: false });
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * Throws the rest of a body away that was only read in part, as the message was too large. Left where it is, the client
 * would wait with its next request on the connection. The listener's request timeout bounds how long this goes on.
 */
function discardRest(source: Readable): void {
  if (source.readableEnded || source.destroyed) return;
  // An iterator that was left alone listens for this, and as long as somebody does, nothing flows.
  source.removeAllListeners("readable").resume();
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
