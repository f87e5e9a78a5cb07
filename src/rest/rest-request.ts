import type { Registry } from "@bufbuild/protobuf";
import { Code, type ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { Call, clientGone } from "../transport/call.ts";
import {
  type HttpRequest,
  type HttpResponse,
  type Target,
  abortResponse,
  onClientGone,
  splitTarget,
} from "../transport/http-message.ts";
import type { Pipeline } from "../transport/pipeline.ts";
import type { ServedRoute } from "./build-routes.ts";
import { type Dialect, type FailedRequest, defaultDialect } from "./dialect.ts";
import { type ErrorContext, sendFailure } from "./error-answer.ts";
import { type Failure, badRequest, failureOf, methodNotAllowed, pathNotFound } from "./errors/failure.ts";
import { requestHeaders } from "./http/headers.ts";
import { type AnswerableRequest, RestExchange, refuseDeclaredBody } from "./rest-exchange.ts";
import type { Match, RouteTable } from "./routes/route-table.ts";
import { answerStream } from "./stream.ts";

/** What all requests to a transcoder share. */
export interface TranscoderContext {
  readonly pipeline: Pipeline;
  readonly table: RouteTable<ServedRoute>;
  readonly dialectByPath: (path: string) => Dialect | undefined;
  readonly registry: Registry | undefined;
  readonly contextValues: ((request: HttpRequest) => ContextValues) | undefined;
  readonly onError: ((error: unknown, request: FailedRequest) => void) | undefined;
}

/** One REST request, from its target to its answer. */
export class RestRequest implements AnswerableRequest {
  readonly context: TranscoderContext;
  readonly http: HttpRequest;
  readonly response: HttpResponse;
  readonly target: Target;
  isGone = false;
  readonly #match: Match<ServedRoute>;
  #values: ContextValues | undefined;
  #call: Call | undefined;

  constructor(context: TranscoderContext, http: HttpRequest, response: HttpResponse) {
    this.context = context;
    this.http = http;
    this.response = response;
    this.target = splitTarget(http.url ?? "");
    this.#match = matchTarget(context.table, http.method ?? "", this.target.path);
    onClientGone(response, () => {
      this.isGone = true;
      this.#call?.abort(clientGone());
    });
  }

  /** Answers the request. Rejects only if not even an error could be sent. */
  async answer(): Promise<void> {
    try {
      await this.#answer();
    } catch (error) {
      await this.fail(error);
    } finally {
      this.#call?.abort();
    }
  }

  #answer(): Promise<void> {
    const values = this.context.contextValues?.(this.http) ?? createContextValues();
    this.#values = values;
    switch (this.#match.kind) {
      case "not_found":
        throw pathNotFound();
      case "method_not_allowed":
        throw methodNotAllowed(this.#match.allow);
      case "found": {
        const { route, segments } = this.#match;
        refuseDeclaredBody(route, this.http);
        const call = this.#openCall(route, values);
        this.#call = call;
        const routed = { request: this, call, route, segments };
        const { pipeline } = this.context;
        return route.spec.kind === "unary"
          ? pipeline.run(new RestExchange(routed, pipeline.handlerOf(route.spec)))
          : answerStream(routed, route.spec);
      }
    }
  }

  #openCall(route: ServedRoute, values: ContextValues): Call {
    const { url = "", method = "", headers } = this.http;
    return new Call({
      method: route.method,
      protocolName: "rest",
      requestMethod: method,
      target: url,
      headers,
      toHeaders: requestHeaders,
      values,
      maxTimeoutMs: this.context.pipeline.maxTimeoutMs,
      malformedTimeout: (header) => badRequest("header", header, "not a timeout"),
    });
  }

  async fail(error: unknown): Promise<void> {
    const failure = this.failureOf(error);
    if (this.response.headersSent) abortResponse(this.response);
    else if (!this.isGone) await sendFailure(this.http, this.response, failure, this.errorContext());
  }

  failureOf(error: unknown): Failure {
    const failure = failureOf(this.#outcomeOf(error));
    if (failure.error.code === Code.Internal && failure.error !== error) this.#report(error);
    return failure;
  }

  #outcomeOf(error: unknown): ConnectError {
    return this.context.pipeline.outcomes.failed(error, this.#values ?? createContextValues());
  }

  errorContext(): ErrorContext {
    return {
      dialect: this.#dialect,
      request: this.#failedRequest(),
      responseHeader: this.#call?.setHeaders,
      registry: this.context.registry,
      onWriterError: (error) => this.#report(error),
    };
  }

  /** The matched route; for 405 the route that fits the path best. */
  get #route(): ServedRoute | undefined {
    switch (this.#match.kind) {
      case "found":
        return this.#match.route;
      case "method_not_allowed":
        return this.#match.nearest;
      case "not_found":
        return undefined;
    }
  }

  get #dialect(): Dialect {
    const own = this.#route?.dialect;
    const dialect =
      this.#match.kind === "found" ? own : (this.context.dialectByPath(this.target.path) ?? own);
    return dialect ?? defaultDialect;
  }

  #failedRequest(): FailedRequest {
    return {
      method: this.#route?.method,
      httpMethod: this.http.method ?? "",
      path: this.target.path,
      header: this.#call?.requestHeader ?? requestHeaders(this.http.headers),
      contextValues: this.#values ?? createContextValues(),
    };
  }

  #report(error: unknown): void {
    try {
      this.context.onError?.(error, this.#failedRequest());
    } catch {
      // A logger that fails must not cost the client its answer.
    }
  }
}

/** HEAD is answered wherever GET is, unless a rule takes it (RFC 9110, 9.1). */
function matchTarget(table: RouteTable<ServedRoute>, method: string, path: string): Match<ServedRoute> {
  const match = table.match(method, path);
  if (match.kind !== "method_not_allowed" || !match.allow.includes("GET")) return match;
  if (method === "HEAD") return table.match("GET", path);
  return { ...match, allow: [...new Set([...match.allow, "HEAD"])].sort() };
}
