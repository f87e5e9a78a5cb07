import { createRegistry } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import type { Logger } from "pino";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection as ReflectionV1 } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { AccessTable } from "../auth/access.ts";
import { CallLimits } from "../auth/call-limits.ts";
import type { CompatApi } from "../compat/api.ts";
import { flashback } from "../compat/flashback/flashback.ts";
import { kratos } from "../compat/kratos/kratos.ts";
import { stytchB2b } from "../compat/stytch/b2b.ts";
import { stytch } from "../compat/stytch/consumer.ts";
import { systemClock } from "../domain/clock.ts";
import type { KeyRing } from "../domain/keys/key-ring.ts";
import type { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { ConcurrencyLimit } from "../domain/concurrency-limit.ts";
import { type Route, createTranscoder, transcodedService } from "../rest/transcoder.ts";
import { errorInterceptor } from "../rpc/connect-errors.ts";
import { deadlineInterceptor } from "../rpc/deadline.ts";
import { requestGate } from "../rpc/gate.ts";
import { type Health, createHealth } from "../rpc/grpc/health.ts";
import { projectService, projectServiceAccess } from "../rpc/project-service.ts";
import { serveReflection } from "../rpc/grpc/reflection.ts";
import { sessionService, sessionServiceAccess } from "../rpc/session-service.ts";
import { CallLog, type CallObservers } from "./observability/call-log.ts";
import { describeFault } from "./observability/redact.ts";
import type { Config } from "./config/config.ts";
import type { FailureReporter } from "./listener/guard.ts";
import type { HttpRequest, HttpResponse, RequestHandler } from "../transport/http-message.ts";
import type { StreamTaker } from "./listener/http2.ts";
import type { PeerRegistry } from "./listener/peer.ts";
import { createRpc } from "./rpc/rpc-handler.ts";
import { safeHost } from "./rpc/safe-host.ts";
import { singleAuthorization } from "./rpc/single-authorization.ts";

/** What the parts are put together from. */
export interface AssemblyOptions {
  readonly config: Pick<Config, "maxMessageBytes" | "callRates" | "maxWaiting" | "kratos" | "stytch">;
  readonly deps: Dependencies & { readonly keyRing: KeyRing };
  readonly feeds: RevocationFeeds;
  readonly log: Logger;
  /** Where calls are told of besides the log. */
  readonly observers?: CallObservers;
  /** Peers of the connections that requests come on. */
  readonly peers?: PeerRegistry;
  /** Ends running calls, with a ConnectError as its reason. */
  readonly shutdownSignal: AbortSignal;
}

/** The service, ready to be listened for. */
export interface Assembly {
  readonly handler: RequestHandler;
  /** Serves some HTTP/2 streams faster than `handler` could. */
  readonly takeStream: StreamTaker;
  readonly health: Health;
  /** Every REST route. */
  readonly routes: readonly Route[];
  /** Who may call each method of every service. */
  readonly access: AccessTable;
}

/** Plain HTTP health check, for probes that speak no gRPC. */
const healthPath = "/healthz";
/** Whether this process lives, in Kubernetes' words: whoever restarts what does not must not ask the database. */
const lifePath = "/livez";
/** Longest deadline: beyond it Node's timers would fire at once. */
const maxTimeoutMs = 2 ** 31 - 1;

/**
 * Puts the parts together; they meet nowhere else. Throws, in words, for a route collision, a fault in a route, or a method
 * without a permission entry.
 */
export function assemble(options: AssemblyOptions): Assembly {
  const { config, feeds, log, observers, shutdownSignal } = options;
  const deps = { ...options.deps, jwksReaders: new ConcurrencyLimit(Math.ceil(config.maxWaiting / 10)) };
  const apis: readonly CompatApi[] = [
    flashback(deps),
    stytch(deps, config.stytch),
    stytchB2b(deps, config.stytch),
    kratos(deps, config.kratos),
  ];
  const access = accessTable(apis);
  const health = createHealth({ ready: () => deps.store.ping().then(() => true) });
  const calls = new CallLog(log, observers, options.peers);
  const schemes = new Map(apis.map((api) => [api.service, api.scheme]));
  const protocolOptions = {
    interceptors: [errorInterceptor, deadlineInterceptor],
    requestGate: requestGate({
      deps,
      access,
      schemes,
      limits: new CallLimits(config.callRates, systemClock),
    }),
    readMaxBytes: config.maxMessageBytes,
    maxTimeoutMs,
    shutdownSignal,
  };
  const own = [
    transcodedService(SessionService, sessionService(deps, feeds)),
    transcodedService(ProjectService, projectService(deps)),
  ];
  const routes = (router: ConnectRouter) => {
    router.service(SessionService, sessionService(deps, feeds));
    router.service(ProjectService, projectService(deps));
    router.service(HealthService, health.implementation);
    serveReflection(router, [SessionService, ProjectService, HealthService], [file_google_rpc_error_details]);
  };
  const onError: FailureReporter = (error, place) =>
    log.debug({ place, fault: describeFault(error) }, "connection trouble");
  const rpc = createRpc({ ...protocolOptions, routes, calls, onError });
  access.requireEntries(rpc.services);
  const transcoder = createTranscoder({
    ...protocolOptions,
    contextValues: (request) => calls.contextValues(request),
    services: [...own, ...apis.map((api) => transcodedService(api.service, api.implementation, api.dialect))],
    rules: apis.flatMap((api) => api.rules ?? []),
    reservedPaths: [healthPath, lifePath, ...rpc.paths],
    registry: createRegistry(file_google_rpc_error_details),
    onError: (error) => log.error({ fault: describeFault(error) }, "REST call failed inside"),
  });
  const dispatch = singleAuthorization((request, response) => {
    if (!rpc.paths.has(pathOf(request))) return transcoder.handle(request, response);
    return rpc.take(request, response) ?? rpc.handle(request, response);
  });
  const serve = safeHost(dispatch);
  const handler = calls.around((request, response) => {
    const path = pathOf(request);
    if (path === healthPath) return health.isServing().then((serving) => answerProbe(serving, response));
    return path === lifePath ? answerProbe(true, response) : serve(request, response);
  });
  for (const { typeName } of [SessionService, ProjectService]) health.set(typeName, "serving");
  return { handler, takeStream: rpc.takeStream, health, routes: transcoder.routes, access };
}

function accessTable(apis: readonly CompatApi[]): AccessTable {
  const table = new AccessTable()
    .add(SessionService, sessionServiceAccess)
    .add(ProjectService, projectServiceAccess)
    .add(HealthService, { check: "public", list: "public", watch: "public" })
    .add(ReflectionV1, { serverReflectionInfo: "public" })
    .add(ReflectionV1Alpha, { serverReflectionInfo: "public" });
  for (const api of apis) table.add(api.service, api.access);
  return table;
}

function pathOf(request: HttpRequest): string {
  const url = request.url ?? "";
  const end = url.indexOf("?");
  return end < 0 ? url : url.slice(0, end);
}

function answerProbe(serving: boolean, response: HttpResponse): void {
  response.statusCode = serving ? 200 : 503;
  response.setHeader("content-type", "application/json");
  response.setHeader("cache-control", "no-store");
  const body = JSON.stringify({ status: serving ? "SERVING" : "NOT_SERVING" });
  if ("stream" in response) response.end(body);
  else response.end(body);
}
