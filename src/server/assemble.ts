import { createRegistry } from "@bufbuild/protobuf";
import { createServiceImplSpec } from "@connectrpc/connect";
import type { Logger } from "pino";
import { file_session_v1_error_reason } from "../../gen/session/v1/error_reason_pb.ts";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection as ReflectionV1 } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import { AccessTable } from "../auth/access.ts";
import { CallLimits } from "../auth/call-limits.ts";
import type { CompatApi } from "../compat/api.ts";
import { systemClock } from "../domain/clock.ts";
import type { KeyRing } from "../domain/keys/key-ring.ts";
import type { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { ConcurrencyLimit } from "../domain/concurrency-limit.ts";
import { createTranscoder, transcodedService } from "../rest/transcoder.ts";
import { callOutcomes } from "../rpc/connect-errors.ts";
import { callRecordKey } from "../rpc/call-record.ts";
import { requestGate } from "../rpc/gate.ts";
import { createHealth } from "../rpc/grpc/health.ts";
import { projectService, projectServiceAccess } from "../rpc/project-service.ts";
import { reflectionServices } from "../rpc/grpc/reflection.ts";
import { sessionService, sessionServiceAccess } from "../rpc/session-service.ts";
import { CallLog, type CallObservers } from "./observability/call-log.ts";
import { describeFault } from "./observability/log.ts";
import type { Config } from "./config/config.ts";
import { Docs, type Page } from "./docs/docs.ts";
import { apiName, documentedApis } from "./documented-apis.ts";
import { type HttpRequest, type HttpResponse, pathOf, sendResponse } from "../transport/http-message.ts";
import { Pipeline } from "../transport/pipeline.ts";
import type { PeerRegistry } from "./listener/peer.ts";
import { CrossOrigin } from "./cross-origin.ts";
import { createRpc } from "./rpc/rpc-handler.ts";
import { safeHost, singleAuthorization } from "./rpc/header-checks.ts";

export interface AssemblyOptions {
  readonly config: Pick<
    Config,
    | "maxMessageBytes"
    | "callRates"
    | "trustedProxies"
    | "maxWaiting"
    | "allowedOrigins"
    | "docs"
    | "kratos"
    | "stytch"
  >;
  readonly deps: Dependencies & { readonly keyRing: KeyRing };
  readonly feeds: RevocationFeeds;
  readonly log: Logger;
  readonly observers?: CallObservers;
  readonly peers?: PeerRegistry;
  /** Ends running calls, with a ConnectError as its reason. */
  readonly shutdownSignal: AbortSignal;
}

/** Readiness probe over plain HTTP. */
const healthPath = "/healthz";
/** Liveness probe. Independent of the database: restarting this process would not bring the database back. */
const lifePath = "/livez";

/** Connects all parts. Throws for a route collision, a fault in a route, or a method without a permission entry. */
export function assemble(options: AssemblyOptions) {
  const { config, feeds, log, observers, shutdownSignal } = options;
  const deps = { ...options.deps, jwksReaders: new ConcurrencyLimit(Math.ceil(config.maxWaiting / 10)) };
  const apis = documentedApis(deps, config);
  const access = accessTable(apis);
  const health = createHealth({
    services: [SessionService.typeName, ProjectService.typeName],
    ready: () => deps.store.ping().then(() => true),
  });
  const calls = new CallLog(log, observers, options.peers);
  const schemes = new Map(apis.map((api) => [api.service, api.scheme]));
  const gate = requestGate({
    deps,
    access,
    schemes,
    limits: new CallLimits(config.callRates, systemClock, config.trustedProxies),
  });
  const pipeline = new Pipeline({
    requestGate: gate,
    outcomes: callOutcomes,
    readMaxBytes: config.maxMessageBytes,
    shutdownSignal,
  });
  const own = [
    transcodedService(SessionService, sessionService(deps, feeds)),
    transcodedService(ProjectService, projectService(deps)),
  ];
  const listed = [SessionService, ProjectService, HealthService];
  const rpc = createRpc({
    pipeline,
    calls,
    services: [
      ...own.map(({ spec }) => spec),
      createServiceImplSpec<typeof HealthService>(HealthService, health.implementation),
      ...reflectionServices(listed, [file_google_rpc_error_details, file_session_v1_error_reason]),
    ],
    onError: (error, place) => log.debug({ place, fault: describeFault(error) }, "connection trouble"),
  });
  access.requireEntries(rpc.services);
  const docs = config.docs
    ? new Docs(
        apis.map(({ service }) => apiName(service)),
        config,
      )
    : undefined;
  const transcoder = createTranscoder({
    pipeline,
    contextValues: (request) => calls.contextValues(request),
    services: [...own, ...apis.map((api) => transcodedService(api.service, api.implementation, api.dialect))],
    rules: apis.flatMap((api) => api.rules ?? []),
    reservedPaths: [healthPath, lifePath, ...(docs?.paths ?? []), ...rpc.paths],
    registry: createRegistry(file_google_rpc_error_details),
    onError: (error, { contextValues }) => {
      const isLoggedWithCall = contextValues.get(callRecordKey).fault !== undefined;
      if (!isLoggedWithCall) log.error({ fault: describeFault(error) }, "REST answer failed");
    },
  });
  const crossOrigin = new CrossOrigin({
    origins: config.allowedOrigins,
    cookieOrigins: new Map(apis.flatMap(({ dialect, cookieOrigins: own }) => (own ? [[dialect, own]] : []))),
    jwks: new Set([ProjectService.method.getJwks, ...apis.flatMap((api) => api.jwks ?? [])]),
    find: (httpMethod, path) => rpc.find(httpMethod, path) ?? transcoder.find(httpMethod, path),
    onPreflight: (request) => calls.succeeded(request),
  });
  const serve = safeHost(
    crossOrigin.around(
      singleAuthorization(
        (request, response) => rpc.handle(request, response) ?? transcoder.handle(request, response),
      ),
    ),
  );
  const answerProbe = async (path: string, request: HttpRequest, response: HttpResponse) => {
    const isServing = path === lifePath || (await health.isServing());
    calls.contextValues(request).get(callRecordKey).code = isServing ? "Ok" : "Unavailable";
    const body = JSON.stringify({ status: isServing ? "SERVING" : "NOT_SERVING" });
    const headers = {
      "content-type": "application/json",
      "content-length": body.length,
      "cache-control": "no-store",
    };
    sendResponse(response, isServing ? 200 : 503, headers, request.method === "HEAD" ? undefined : body);
  };
  const sendPage = async (from: Docs, page: Page, request: HttpRequest, response: HttpResponse) => {
    const { status, headers, body } = await from.answer(page, request);
    const codes = { 200: "Ok", 304: "Ok", 404: "NotFound", 405: "Unimplemented" };
    calls.contextValues(request).get(callRecordKey).code = codes[status];
    sendResponse(response, status, headers, request.method === "HEAD" ? undefined : body);
    request.resume();
  };
  const handler = calls.around((request, response) => {
    const path = pathOf(request.url ?? "");
    const isProbe = path === healthPath || path === lifePath;
    if (isProbe) return answerProbe(path, request, response);
    const page = docs?.find(path);
    if (docs !== undefined && page !== undefined) return sendPage(docs, page, request, response);
    return serve(request, response);
  });
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
