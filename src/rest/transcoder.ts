import type { DescService, Registry } from "@bufbuild/protobuf";
import {
  Code,
  createContextValues,
  createServiceImplSpec,
  type ContextValues,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
  type ServiceImplSpec,
} from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { CallContext } from "./call.ts";
import { defaultDialect, dialectByPrefix, type Dialect, type FailedRequest } from "./dialect.ts";
import { sendFailure, type ErrorContext } from "./error-answer.ts";
import {
  cutOff,
  disconnectSignal,
  splitTarget,
  type NodeRequest,
  type NodeResponse,
  type Outgoing,
} from "./exchange.ts";
import { failureOf, methodNotAllowed, pathNotFound, Refusal, type Failure } from "./failure.ts";
import { requestHeaders } from "./headers.ts";
import { buildRoutes, type ServedRoute } from "./routing.ts";
import { fullName } from "./rules.ts";
import { serve } from "./serve.ts";
import { maxTimerMs } from "./timeout.ts";

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
  /** Ends running calls with its reason, best a ConnectError that says UNAVAILABLE. */
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
  const dialectOf = dialectByPrefix(options.services.flatMap(({ dialect }) => dialect ?? []));
  const serveOptions = {
    interceptors: [...(options.interceptors ?? [])],
    requestGate: options.requestGate,
    readMaxBytes: options.readMaxBytes ?? 4 * 1024 * 1024,
    maxTimeoutMs: Math.min(options.maxTimeoutMs ?? maxTimerMs, maxTimerMs),
    shutdownSignal: options.shutdownSignal,
    registry: options.registry,
  };

  const report = (error: unknown, request: FailedRequest): void => {
    try {
      options.onError?.(error, request);
    } catch {
      // A logger that fails must not cost the client its answer.
    }
  };

  const answer = async (node: NodeRequest, response: Outgoing): Promise<void> => {
    const target = splitTarget(node.url ?? "");
    const httpMethod = node.method ?? "";
    const match = table.match(httpMethod, target.path);
    const route: ServedRoute | undefined =
      match.kind === "found" ? match.route : match.kind === "method_not_allowed" ? match.nearest : undefined;
    const disconnected = disconnectSignal(response);
    let request: FailedRequest = {
      method: route?.method,
      httpMethod,
      path: target.path,
      header: new Headers(),
      contextValues: createContextValues(),
    };
    let context: CallContext | undefined;
    const errorContext = (): ErrorContext => ({
      dialect:
        (match.kind === "found" ? route?.dialect : (dialectOf(target.path) ?? route?.dialect)) ??
        defaultDialect,
      request,
      responseHeader: context?.responseHeader,
      registry: options.registry,
      onWriterError: (error) => report(error, request),
    });
    const failureOfThrown = (error: unknown): Failure => {
      const failure = failureOf(error, context?.signal);
      if (failure.error.code === Code.Internal && failure.error !== error) {
        report(error, request);
      }
      return failure;
    };
    try {
      request = { ...request, header: requestHeaders(node.headers) };
      request = { ...request, contextValues: options.contextValues?.(node) ?? request.contextValues };
      switch (match.kind) {
        case "not_found":
          throw new Refusal(pathNotFound());
        case "method_not_allowed":
          throw new Refusal(methodNotAllowed(match.allow));
        case "found":
          await serve({ ...match, node, target, disconnected, ...request }, response, serveOptions, {
            onContext: (opened) => {
              context = opened;
            },
            onLateError: (error) => ({ failure: failureOfThrown(error), context: errorContext() }),
          });
      }
    } catch (error) {
      const failure = failureOfThrown(error);
      if (response.headersSent) {
        cutOff(node, response);
      } else if (!disconnected.aborted) {
        await sendFailure(node, response, failure, errorContext());
      }
    } finally {
      context?.abort();
    }
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
        await answer(request, response);
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
