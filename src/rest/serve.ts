import type { Message, Registry } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { defaultWrite, encodeAnswer } from "./answer.ts";
import { bindRequest, readsHttpBody } from "./binding/bind.ts";
import { Call, callStream, callUnary, passGate } from "./call.ts";
import { type ErrorContext, lateErrorBody } from "./error-answer.ts";
import {
  type Client,
  type NodeRequest,
  type Outgoing,
  type Target,
  cutOff,
  writeChunk,
} from "./http/exchange.ts";
import { type Failure, unsupportedMediaType } from "./errors/failure.ts";
import { mergeAnswerHeaders } from "./http/headers.ts";
import { chooseStreamFormat, isJsonContentType } from "./http/media-type.ts";
import { readBody } from "./http/request-body.ts";
import type { ServedRoute } from "./build-routes.ts";
import { send } from "./http/send.ts";
import { sendStream, streamWriter } from "./stream.ts";
import { readTimeout } from "./http/timeout.ts";

/** Settings that hold for every request. */
export interface ServeOptions {
  readonly interceptors: Interceptor[];
  readonly requestGate: ((context: HandlerContext) => void | Promise<void>) | undefined;
  readonly readMaxBytes: number;
  readonly maxTimeoutMs: number;
  readonly shutdownSignal: AbortSignal | undefined;
  readonly registry: Registry | undefined;
}

/** A request that found its route. */
export interface MatchedRequest {
  readonly route: ServedRoute;
  readonly segments: readonly string[];
  readonly node: NodeRequest;
  readonly target: Target;
  readonly header: Headers;
  readonly contextValues: ContextValues;
  readonly client: Client;
}

/** What {@link serve} tells the one who called it, for the case that the call fails. */
export interface Failing {
  /** There is a call from now on: it must be ended, and the headers of its context go out with an error too. */
  onCall(call: Call): void;
  /** A stream failed after its head was sent. */
  onLateError(error: unknown): LateError;
}

/** What is still to be said of a stream that failed. */
export interface LateError {
  readonly failure: Failure;
  readonly context: ErrorContext;
}

/**
 * Runs one call: content type, deadline, gate, body, binding, implementation, answer. Throws what went wrong before the
 * head of the answer was sent; `onCall` has by then been given the call, if it came to that.
 */
export async function serve(
  request: MatchedRequest,
  response: Outgoing,
  options: ServeOptions,
  failing: Failing,
): Promise<void> {
  const { route } = request;
  refuseContentType(request);
  const call = new Call({
    spec: route.spec,
    httpMethod: request.node.method ?? "",
    url: request.node.url ?? "",
    header: request.header,
    contextValues: request.contextValues,
    timeoutMs: readTimeout(request.node.headers, options.maxTimeoutMs),
    shutdownSignal: options.shutdownSignal,
  });
  request.client.onGone = () => call.abort(new ConnectError("the client went away", Code.Canceled));
  failing.onCall(call);
  await passGate(options.requestGate, call);
  const body = ignoresBody(route, request.node)
    ? noBytes
    : await call.until(readBody(request.node, options.readMaxBytes, call.signal));
  const input = bindInput(request, body, options);
  if (route.spec.kind === "unary") {
    const output = await callUnary(route.spec, call, input, options.interceptors);
    await answerUnary(request, response, call.context, output);
  } else {
    const messages = callStream(route.spec, call, input, options.interceptors);
    await answerStream(request, response, call.context, messages, failing);
  }
}

/** Whether a body means nothing for this method; a POST without a body rule may have one, within the limits of others. */
function ignoresBody(route: ServedRoute, node: NodeRequest): boolean {
  return route.body.kind === "none" && bodiless.has(node.method ?? "");
}

const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

/** The media type only matters where a body is read, or might be taken for one. */
function refuseContentType({ route, node, header }: MatchedRequest): void {
  if (!ignoresBody(route, node) && !readsHttpBody(route) && !isJsonContentType(header.get("content-type"))) {
    throw unsupportedMediaType("the content type is not application/json", { accept: "application/json" });
  }
}

const noBytes = new Uint8Array();

function bindInput(request: MatchedRequest, body: Uint8Array, options: ServeOptions): Message {
  const { route, target, segments, header } = request;
  const { dialect } = route;
  return bindRequest(
    route,
    {
      target,
      segments,
      body: route.body.kind === "none" ? noBytes : body,
      contentType: header.get("content-type") ?? "",
    },
    {
      unknownQueryParameters: dialect.unknownQueryParameters ?? "refuse",
      unknownMembers: dialect.unknownMembers ?? "refuse",
      registry: dialect.registry ?? options.registry,
    },
  );
}

function answerUnary(
  { route, node }: MatchedRequest,
  response: Outgoing,
  context: HandlerContext,
  output: Message,
): Promise<void> | undefined {
  const status = route.successStatus;
  const headers = answerHeaders(context);
  if (status === 204) {
    return send(node, response, { status, headers, contentType: undefined }, undefined);
  }
  const { contentType, content } = encodeAnswer(route, output, route.dialect.write ?? defaultWrite);
  return send(node, response, { status, headers, contentType }, content);
}

function answerHeaders(context: HandlerContext): Headers {
  const headers = new Headers();
  mergeAnswerHeaders(headers, context.responseHeader);
  // HTTP has no use for the difference, since a unary answer is only written when both are known.
  mergeAnswerHeaders(headers, context.responseTrailer);
  return headers;
}

async function answerStream(
  { route, node, header, client }: MatchedRequest,
  response: Outgoing,
  context: HandlerContext,
  messages: AsyncIterator<Message>,
  failing: Failing,
): Promise<void> {
  const writer = streamWriter(route, chooseStreamFormat(header.get("accept")));
  try {
    await sendStream(response, route, messages, {
      writer,
      headers: () => answerHeaders(context),
      write: route.dialect.write ?? defaultWrite,
      client,
    });
  } catch (error) {
    if (!response.headersSent) throw error;
    const late = failing.onLateError(error);
    if (writer.error === undefined) {
      // Cut off: bytes that are not JSON have no room for an error.
      cutOff(node, response);
    } else if (!client.isGone) {
      await writeChunk(response, writer.error(lateErrorBody(late.failure, late.context)), client);
      response.end();
    }
  } finally {
    // Not awaited: a generator that waits for something else returns only when that comes.
    messages.return?.().catch(() => undefined);
  }
}
