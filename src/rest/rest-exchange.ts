import type { Message, Registry } from "@bufbuild/protobuf";
import type { Call } from "../transport/call.ts";
import type { HttpRequest, HttpResponse, Target } from "../transport/http-message.ts";
import type { Pipeline, UnaryExchange, UnaryHandler } from "../transport/pipeline.ts";
import { type Payload, defaultWrite, encodeAnswer } from "./answer.ts";
import { bindRequest, readsHttpBody } from "./binding/bind.ts";
import type { ServedRoute } from "./build-routes.ts";
import type { ErrorContext } from "./error-answer.ts";
import { type Failure, unsupportedMediaType } from "./errors/failure.ts";
import { mergeAnswerHeaders } from "./http/headers.ts";
import { isJsonContentType } from "./http/media-type.ts";
import { receiveBody } from "./http/request-body.ts";
import { send } from "./http/send.ts";

/** A request that is answered once: with a message, a stream or an error. */
export interface AnswerableRequest {
  readonly http: HttpRequest;
  readonly response: HttpResponse;
  readonly target: Target;
  readonly context: { readonly pipeline: Pipeline; readonly registry: Registry | undefined };
  /** Whether the client went away before its answer had ended. */
  readonly isGone: boolean;
  /** Answers with an error. An answer that has begun is cut off. */
  fail(error: unknown): Promise<void>;
  failureOf(error: unknown): Failure;
  errorContext(): ErrorContext;
}

/** A call of a method that REST serves at a route. */
export interface RoutedCall {
  readonly request: AnswerableRequest;
  readonly call: Call;
  readonly route: ServedRoute;
  /** Segments of the path as sent, without the verb. */
  readonly segments: readonly string[];
}

const noBytes = new Uint8Array();

/** Reads the message of a call from its path, body and query; undefined if the client is gone. */
export async function receiveMessage({ request, route, segments }: RoutedCall): Promise<Message | undefined> {
  const { http, target, context } = request;
  const body = ignoresBody(route) ? noBytes : await receiveBody(http, context.pipeline.readMaxBytes);
  if (body === "gone") return undefined;
  if (body.length > 0) refuseContentType(route, http);
  const { dialect } = route;
  return bindRequest(
    route,
    { target, segments, body, contentType: http.headers["content-type"] ?? "" },
    {
      unknownQueryParameters: dialect.unknownQueryParameters ?? "refuse",
      unknownMembers: dialect.unknownMembers ?? "refuse",
      registry: dialect.registry ?? context.registry,
    },
  );
}

/** Refuses a body that is not JSON before it is read, if the request says that it has one. */
export function refuseDeclaredBody(route: ServedRoute, http: HttpRequest): void {
  const hasBody = (http.headers["content-length"] ?? "0") !== "0";
  if (hasBody && !ignoresBody(route)) refuseContentType(route, http);
}

function ignoresBody({ body, dialect }: ServedRoute): boolean {
  return body.kind === "none" && dialect.bodyWithoutRule !== "json";
}

/** The content type of an empty body means nothing (RFC 9110, 8.3). */
function refuseContentType(route: ServedRoute, { headers }: HttpRequest): void {
  if (!readsHttpBody(route) && !isJsonContentType(headers["content-type"])) {
    throw unsupportedMediaType("the content type is not application/json", { accept: "application/json" });
  }
}

/** A unary call over REST. */
export class RestExchange implements UnaryExchange<Payload | undefined> {
  readonly call: Call;
  readonly handle: UnaryHandler;
  readonly #routed: RoutedCall;

  constructor(routed: RoutedCall, handle: UnaryHandler) {
    this.call = routed.call;
    this.handle = handle;
    this.#routed = routed;
  }

  receive(): Promise<Message | undefined> {
    return receiveMessage(this.#routed);
  }

  encode(output: Message): Payload | undefined {
    const { route } = this.#routed;
    return route.successStatus === 204
      ? undefined
      : encodeAnswer(route, output, route.dialect.write ?? defaultWrite);
  }

  succeed(payload: Payload | undefined): void | Promise<void> {
    const { request, route, call } = this.#routed;
    const head = {
      status: route.successStatus,
      headers: answerHeaders(call),
      contentType: payload?.contentType,
    };
    return send(request.http, request.response, head, payload?.content);
  }

  fail(error: unknown): Promise<void> {
    return this.#routed.request.fail(error);
  }
}

/** Headers and trailers that an implementation set; a unary answer is written when both are known. Undefined if none was. */
export function answerHeaders({ setHeaders, setTrailers }: Call): Headers | undefined {
  if (setHeaders === undefined && setTrailers === undefined) return undefined;
  const headers = new Headers();
  if (setHeaders !== undefined) mergeAnswerHeaders(headers, setHeaders);
  if (setTrailers !== undefined) mergeAnswerHeaders(headers, setTrailers);
  return headers;
}
