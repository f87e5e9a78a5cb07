import type { Message, Registry } from "@bufbuild/protobuf";
import { Code, type ContextValues, createContextValues } from "@connectrpc/connect";
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
import { encodeAnswer } from "./answer.ts";
import { bindRequest, readsHttpBody } from "./binding/bind.ts";
import type { ServedRoute } from "./build-routes.ts";
import type { Dialect, FailedRequest } from "./dialect.ts";
import { type ErrorContext, lateErrorBody, sendFailure } from "./error-answer.ts";
import { dialectOf, matchRoute } from "./find-route.ts";
import {
  type Failure,
  failureOf,
  malformedTimeout,
  methodNotAllowed,
  pathNotFound,
  unsupportedMediaType,
} from "./errors/failure.ts";
import { mergeAnswerHeaders, requestHeaders } from "./http/headers.ts";
import { isJsonContentType } from "./http/media-type.ts";
import { receiveBody } from "./http/request-body.ts";
import { send } from "./http/send.ts";
import type { Match, RouteTable } from "./routes/route-table.ts";
import { writeStream } from "./stream.ts";

/** What all requests to a transcoder share. */
export interface TranscoderContext {
  readonly pipeline: Pipeline;
  readonly table: RouteTable<ServedRoute>;
  readonly dialectByPath: (path: string) => Dialect | undefined;
  readonly registry: Registry | undefined;
  readonly contextValues: ((request: HttpRequest) => ContextValues) | undefined;
  readonly onError: ((error: unknown, request: FailedRequest) => void) | undefined;
}

const noBytes = new Uint8Array();

/** One REST request, from its target to its answer. */
export class RestRequest {
  readonly #context: TranscoderContext;
  readonly #http: HttpRequest;
  readonly #response: HttpResponse;
  readonly #target: Target;
  readonly #match: Match<ServedRoute>;
  #isGone = false;
  #values: ContextValues | undefined;
  #call: Call | undefined;

  constructor(context: TranscoderContext, http: HttpRequest, response: HttpResponse) {
    this.#context = context;
    this.#http = http;
    this.#response = response;
    this.#target = splitTarget(http.url ?? "");
    this.#match = matchRoute(context.table, http.method ?? "", this.#target.path);
    onClientGone(response, () => {
      this.#isGone = true;
      this.#call?.abort(clientGone());
    });
  }

  /** Answers the request. Rejects only if not even an error could be sent. */
  async answer(): Promise<void> {
    try {
      await this.#answer();
    } catch (error) {
      await this.#fail(error);
    } finally {
      this.#call?.abort();
    }
  }

  #answer(): Promise<void> {
    this.#values = this.#context.contextValues?.(this.#http) ?? createContextValues();
    switch (this.#match.kind) {
      case "not_found":
        throw pathNotFound();
      case "method_not_allowed":
        throw methodNotAllowed(this.#match.allow);
      case "found":
        return this.#serve(this.#match.route, this.#match.segments, this.#values);
    }
  }

  #serve(route: ServedRoute, segments: readonly string[], values: ContextValues): Promise<void> {
    const { pipeline } = this.#context;
    // A body that is not JSON is refused before it is read.
    const hasBody = (this.#http.headers["content-length"] ?? "0") !== "0";
    if (hasBody && !ignoresBody(route)) this.#refuseContentType(route);
    const call = this.#openCall(route, values);
    this.#call = call;
    const { spec } = route;
    if (spec.kind !== "unary") {
      return writeStream(pipeline.stream(spec, call, this.#messages(route, segments)), {
        route,
        call,
        http: this.#http,
        response: this.#response,
        isGone: () => this.#isGone,
        lateError: (error) => lateErrorBody(this.#failureOf(error), this.#errorContext()),
      });
    }
    return pipeline.run({
      call,
      handle: pipeline.handlerOf(spec),
      receive: () => this.#receive(route, segments),
      encode: (output) => (route.successStatus === 204 ? undefined : encodeAnswer(route, output)),
      succeed: (payload) => {
        const head = {
          status: route.successStatus,
          headers: answerHeaders(call),
          contentType: payload?.contentType,
        };
        return send(this.#http, this.#response, head, payload?.content);
      },
      fail: (error) => this.#fail(error),
    });
  }

  #openCall(route: ServedRoute, values: ContextValues): Call {
    const { url = "", method = "", headers } = this.#http;
    return new Call({
      method: route.method,
      protocolName: "rest",
      requestMethod: method,
      target: url,
      headers,
      toHeaders: requestHeaders,
      values,
      maxTimeoutMs: this.#context.pipeline.maxTimeoutMs,
      malformedTimeout,
    });
  }

  /** Reads the message from path, body and query; undefined if the client is gone. */
  async #receive(route: ServedRoute, segments: readonly string[]): Promise<Message | undefined> {
    const { pipeline, registry } = this.#context;
    const body = ignoresBody(route) ? noBytes : await receiveBody(this.#http, pipeline.readMaxBytes);
    if (body === "gone") return undefined;
    if (body.length > 0) this.#refuseContentType(route);
    const { dialect } = route;
    const contentType = this.#http.headers["content-type"] ?? "";
    return bindRequest(
      route,
      {
        target: this.#target,
        segments,
        body,
        contentType,
        lastEventId: String(this.#http.headers["last-event-id"] ?? ""),
      },
      {
        unknownQueryParameters: dialect.unknownQueryParameters ?? "refuse",
        unknownMembers: dialect.unknownMembers ?? "refuse",
        registry: dialect.registry ?? registry,
      },
    );
  }

  async *#messages(route: ServedRoute, segments: readonly string[]): AsyncGenerator<Message> {
    const message = await this.#receive(route, segments);
    if (message === undefined) throw clientGone();
    yield message;
  }

  #refuseContentType(route: ServedRoute): void {
    if (!readsHttpBody(route) && !isJsonContentType(this.#http.headers["content-type"])) {
      throw unsupportedMediaType("the content type is not application/json", { accept: "application/json" });
    }
  }

  /** Answers with an error. Aborts an answer that has begun. */
  async #fail(error: unknown): Promise<void> {
    const failure = this.#failureOf(error);
    if (this.#response.headersSent) abortResponse(this.#response);
    else if (!this.#isGone) await sendFailure(this.#http, this.#response, failure, this.#errorContext());
  }

  #failureOf(error: unknown): Failure {
    const { outcomes } = this.#context.pipeline;
    const failure = failureOf(outcomes.failed(error, this.#values ?? createContextValues()));
    if (failure.error.code === Code.Internal && failure.error !== error) this.#report(error);
    return failure;
  }

  #errorContext(): ErrorContext {
    return {
      dialect: this.#dialect,
      request: this.#failedRequest(),
      responseHeader: this.#call?.setHeaders,
      registry: this.#context.registry,
      onWriterError: (error) => this.#report(error),
    };
  }

  /** The matched route; for 405 the route that fits the path best. */
  get #route(): ServedRoute | undefined {
    if (this.#match.kind === "not_found") return undefined;
    return this.#match.kind === "found" ? this.#match.route : this.#match.nearest;
  }

  get #dialect(): Dialect {
    return dialectOf(this.#match, this.#target.path, this.#context.dialectByPath) ?? {};
  }

  #failedRequest(): FailedRequest {
    return {
      method: this.#route?.method,
      httpMethod: this.#http.method ?? "",
      path: this.#target.path,
      header: this.#call?.requestHeader ?? requestHeaders(this.#http.headers),
      contextValues: this.#values ?? createContextValues(),
    };
  }

  #report(error: unknown): void {
    try {
      this.#context.onError?.(error, this.#failedRequest());
    } catch {
      // An error of the logger must not prevent the answer.
    }
  }
}

function ignoresBody({ body, dialect }: ServedRoute): boolean {
  return body.kind === "none" && dialect.bodyWithoutRule !== "json";
}

/** Headers and trailers that the implementation set; undefined if it set none. */
function answerHeaders({ setHeaders, setTrailers }: Call): Headers | undefined {
  if (setHeaders === undefined && setTrailers === undefined) return undefined;
  const headers = new Headers();
  if (setHeaders !== undefined) mergeAnswerHeaders(headers, setHeaders);
  if (setTrailers !== undefined) mergeAnswerHeaders(headers, setTrailers);
  return headers;
}
