import type { DescService, Registry } from "@bufbuild/protobuf";
import { type ContextValues, type ServiceImpl, createServiceImplSpec } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import { type Dialect, type FailedRequest, dialectByPrefix } from "./dialect.ts";
import { type TranscodedService, buildRoutes } from "./build-routes.ts";
import { type Destination, dialectOf, matchRoute } from "./find-route.ts";
import { fullName } from "./routes/http-rules.ts";
import { RestRequest, type TranscoderContext } from "./rest-request.ts";
import {
  type HttpRequest,
  type HttpResponse,
  abortResponse,
  endResponse,
} from "../transport/http-message.ts";
import { Pipeline } from "../transport/pipeline.ts";

export { Pipeline };
export type { Destination, TranscodedService };

/** Pairs a service with its implementation, as for a ConnectRouter. Methods without one answer 501. */
export function transcodedService<S extends DescService>(
  service: S,
  implementation: Partial<ServiceImpl<S>>,
  dialect?: Dialect,
): TranscodedService {
  return { spec: createServiceImplSpec<S>(service, implementation), dialect };
}

/** Settings of {@link createTranscoder}. */
export interface TranscoderOptions {
  readonly services: readonly TranscodedService[];
  /** Rules that replace the google.api.http options of the methods they select. */
  readonly rules?: readonly HttpRule[];
  /** Gate, interceptors, limits and outcomes, shared with other protocols. */
  readonly pipeline?: Pipeline;
  /** Makes the context values of a request, for error writers too. */
  readonly contextValues?: (request: HttpRequest) => ContextValues;
  /** Paths that are served elsewhere, such as health, besides the RPC paths of `services`. */
  readonly reservedPaths?: readonly string[];
  /** Types of google.protobuf.Any values, in requests and in error details. */
  readonly registry?: Registry;
  /** Called with every exception that becomes a 500, and with errors of error writers. */
  readonly onError?: (error: unknown, request: FailedRequest) => void;
}

export interface Route {
  /** "*" for any method. */
  readonly httpMethod: string;
  readonly template: string;
  /** `package.Service.Method` */
  readonly rpc: string;
}

export interface Transcoder {
  /** Answers a request of Node's HTTP/1.1 or HTTP/2 server. Never throws or rejects. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>;
  /** Finds what {@link handle} would answer a request with, for decisions before it. The path is not decoded. */
  readonly find: (httpMethod: string, path: string) => Destination;
  /** All routes, in the order of services, methods and bindings. */
  readonly routes: readonly Route[];
}

/** Builds a transcoder for google.api.http over the same implementations and pipeline as RPC. Throws for an invalid rule. */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const { table, routes } = buildRoutes(options.services, options.rules ?? [], options.reservedPaths ?? []);
  const context: TranscoderContext = {
    pipeline: options.pipeline ?? new Pipeline({}),
    table,
    dialectByPath: dialectByPrefix(options.services.flatMap(({ dialect }) => dialect ?? [])),
    registry: options.registry,
    contextValues: options.contextValues,
    onError: options.onError,
  };
  return {
    routes: routes.map((route) => ({
      httpMethod: route.httpMethod,
      template: route.template.text,
      rpc: fullName(route.method),
    })),
    find: (httpMethod, path) => {
      const match = matchRoute(table, httpMethod, path);
      const dialect = dialectOf(match, path, context.dialectByPath);
      if (match.kind === "found") return { method: match.route.method, dialect };
      return { method: undefined, allow: match.kind === "not_found" ? [] : match.allow, dialect };
    },
    handle: async (request, response) => {
      // Another handler has answered.
      if (response.headersSent || response.writableEnded) return;
      try {
        await new RestRequest(context, request, response).answer();
      } catch {
        giveUp(response);
      }
    },
  };
}

/** Ends a response to which not even an error could be sent. */
function giveUp(response: HttpResponse): void {
  try {
    if (response.headersSent) return abortResponse(response);
    response.statusCode = 500;
    endResponse(response);
  } catch {
    // The connection is gone.
  }
}
