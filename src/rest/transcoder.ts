import type { DescService, Registry } from "@bufbuild/protobuf";
import {
  type ContextValues,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
  type ServiceImplSpec,
  createServiceImplSpec,
} from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import { Attempt, type Station } from "./attempt.ts";
import { type Dialect, type FailedRequest, defaultDialect, dialectByPrefix } from "./dialect.ts";
import { type NodeRequest, type NodeResponse, type Outgoing, cutOff } from "./http/exchange.ts";
import { buildRoutes } from "./build-routes.ts";
import { fullName } from "./routes/http-rules.ts";
import { maxTimerMs } from "./http/timeout.ts";

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
  /** Run around every call, the last one first, as everywhere in Connect. */
  readonly interceptors?: readonly Interceptor[];
  /** Runs before a byte of the body is read; throws a ConnectError to reject the call. Authentication belongs here. */
  readonly requestGate?: (context: HandlerContext) => void | Promise<void>;
  /** Makes the context values of a request; error writers see them too. */
  readonly contextValues?: (request: NodeRequest) => ContextValues;
  /** Largest body, as sent and inflated; 4 MiB by default. */
  readonly readMaxBytes?: number;
  /** Longest deadline a caller gets; by default as long as a Node timer can be, about 24 days. */
  readonly maxTimeoutMs?: number;
  /** Ends running streams with its reason, best a ConnectError that says UNAVAILABLE. Unary calls finish. */
  readonly shutdownSignal?: AbortSignal;
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
  readonly handle: (request: NodeRequest, response: NodeResponse) => Promise<void>;
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
  const station: Station = {
    table,
    dialectByPath: dialectByPrefix(options.services.flatMap(({ dialect }) => dialect ?? [])),
    serveOptions: {
      interceptors: [...(options.interceptors ?? [])],
      requestGate: options.requestGate,
      readMaxBytes: options.readMaxBytes ?? 4 * 1024 * 1024,
      maxTimeoutMs: Math.min(options.maxTimeoutMs ?? maxTimerMs, maxTimerMs),
      shutdownSignal: options.shutdownSignal,
      registry: options.registry,
    },
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
      if (response.headersSent || response.writableEnded) {
        // Someone else has answered.
        return;
      }
      try {
        await new Attempt(station, request, response).run();
      } catch {
        giveUp(request, response);
      }
    },
  };
}

/** When even the error answer failed: nothing can be said any more. */
function giveUp(request: NodeRequest, response: Outgoing): void {
  try {
    if (response.headersSent) {
      cutOff(request, response);
    } else {
      response.statusCode = 500;
      response.end();
    }
  } catch {
    // The connection is gone.
  }
}
