import type { DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createConnectRouter,
  createServiceImplSpec,
} from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { callRecordKey } from "../rpc/call-record.ts";
import type { HttpRequest, RequestHandler } from "./handler.ts";
import { blameMessage } from "./message-fault.ts";
import { saneProtocolHeaders } from "./protocol-headers.ts";
import { strictJson } from "./strict-json.ts";

/** What RPC is served from. */
export interface RpcOptions extends Omit<ConnectRouterOptions, "jsonOptions"> {
  /** Adds the services. */
  readonly routes: (router: ConnectRouter) => void;
  readonly contextValues: (request: HttpRequest) => ContextValues;
  /** Longest deadline, in milliseconds; longer ones are cut to it. */
  readonly maxTimeoutMs: number;
}

/** RPC on an HTTP server. */
export interface Rpc {
  /** Every path that is served. */
  readonly paths: ReadonlySet<string>;
  readonly services: ReadonlySet<DescService>;
  /** Answers a request for one of the paths. Rejects where the answer cannot be written, mostly as the client is gone. */
  readonly handle: RequestHandler;
}

/**
 * Serves gRPC, gRPC-Web and Connect. In place of connectNodeAdapter, which calls messages that cannot be read an internal
 * error, repeats parts of them in its answers and writes what goes wrong to the console.
 */
export function createRpc({ routes, contextValues, ...options }: RpcOptions): Rpc {
  const router = createConnectRouter({ acceptCompression: [compressionGzip, compressionBrotli], ...options });
  routes(strictly(router));
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return {
    paths: new Set(handlers.keys()),
    services: new Set(router.handlers.map((handler) => handler.service)),
    handle: async (request, response) => {
      const handler = handlers.get((request.url ?? "").split("?", 1)[0] ?? "");
      if (handler === undefined) throw new Error("RPC was given a path that is not its own");
      response.once("finish", () => discardRest(request));
      const values = contextValues(request);
      const universal = universalRequestFromNodeRequest(request, response, undefined, values);
      saneProtocolHeaders(universal.header, options.maxTimeoutMs);
      // By default whoever stops to read destroys the request, and with it, silently, the use of its connection.
      const body = request.iterator({ destroyOnReturn: false });
      const answer = await handler({ ...universal, body });
      // Neither the gate nor a handler had a say: what failed was reading the message.
      const isUnread = values.get(callRecordKey).code === undefined;
      await universalResponseToNodeResponse(isUnread ? await blameMessage(answer) : answer, response);
    },
  };
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

/** A router that gives each method the JSON options of its own input. */
function strictly(router: ConnectRouter): ConnectRouter {
  const strict: ConnectRouter = {
    handlers: router.handlers,
    rpc(method, implementation) {
      router.rpc(method, implementation, { jsonOptions: strictJson(method.input) });
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
