import type { DescService, Registry } from "@bufbuild/protobuf";
import {
  type ContextValues,
  type ServiceImpl,
  type ServiceImplSpec,
  createServiceImplSpec,
} from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import { type Dialect, type FailedRequest, defaultDialect, dialectByPrefix } from "./dialect.ts";
import { buildRoutes } from "./build-routes.ts";
import { fullName } from "./routes/http-rules.ts";
import { RestRequest, type TranscoderContext } from "./rest-request.ts";
import {
  type HttpRequest,
  type HttpResponse,
  abortResponse,
  endResponse,
} from "../transport/http-message.ts";
import { Pipeline } from "../transport/pipeline.ts";

/** A service to serve over REST. */
export interface TranscodedService {
  readonly spec: ServiceImplSpec;
  readonly dialect?: Dialect | undefined;
}

/** Pairs a service with its implementation, the same that a ConnectRouter takes. Methods left out answer 501. */
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
  /** Rules with a selector, which replace the google.api.http option of the methods they select. */
  readonly rules?: readonly HttpRule[];
  /** Gate, interceptors, limits and outcomes, shared with other protocols; the defaults of {@link Pipeline} if absent. */
  readonly pipeline?: Pipeline;
  /** Makes the context values of a request; error writers see them too. */
  readonly contextValues?: (request: HttpRequest) => ContextValues;
  /** Paths that are served elsewhere, such as health. RPC paths of `services` are always reserved. */
  readonly reservedPaths?: readonly string[];
  /** Types of google.protobuf.Any values, in requests and in error details. */
  readonly registry?: Registry;
  /** Is told of every exception that becomes a 500 without its text, and of what an error writer throws. */
  readonly onError?: (error: unknown, request: FailedRequest) => void;
}

/** One binding, in words. */
export interface Route {
  /** "*" takes any method. */
  readonly httpMethod: string;
  readonly template: string;
  /** `package.Service.Method` */
  readonly rpc: string;
}

/** REST for Connect services. */
export interface Transcoder {
  /** Answers a request of Node's HTTP/1.1 or HTTP/2 server. Never throws and never rejects, whatever arrives. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>;
  /** All routes, in the order of services, methods and bindings: fit for a snapshot test. */
  readonly routes: readonly Route[];
}

/**
 * Builds a transcoder for google.api.http: REST as one more protocol over the same implementations, interceptors and
 * request gate as RPC. Throws for every fault in a rule, so that a server with one does not start.
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const { table, routes } = buildRoutes(
    options.services.map(({ spec, dialect }) => ({ spec, dialect: dialect ?? defaultDialect })),
    options.rules ?? [],
    options.reservedPaths ?? [],
  );
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
    if (response.headersSent) {
      abortResponse(response);
    } else {
      response.statusCode = 500;
      endResponse(response);
    }
  } catch {
    // The connection is gone.
  }
}
