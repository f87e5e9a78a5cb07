import type { Registry } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Payload } from "./answer.ts";
import type { Dialect, ErrorAnswer, ErrorBody, FailedRequest } from "./dialect.ts";
import type { HttpRequest, HttpResponse } from "../transport/http-message.ts";
import type { Failure } from "./errors/failure.ts";
import { mergeAnswerHeaders } from "./http/headers.ts";
import { type Content, type Head, send } from "./http/send.ts";
import { retryAfterOf, statusJson } from "./errors/status-json.ts";

export interface ErrorContext {
  readonly dialect: Dialect;
  readonly request: FailedRequest;
  /** Headers that the gate or the handler had set. */
  readonly responseHeader: Headers | undefined;
  readonly registry: Registry | undefined;
  /** Called with errors of the writer. */
  readonly onWriterError: (error: unknown) => void;
}

export async function sendFailure(
  node: HttpRequest,
  response: HttpResponse,
  failure: Failure,
  context: ErrorContext,
): Promise<void> {
  const answer = composeAnswer(failure, context);
  try {
    await send(node, response, answer.head, answer.content);
  } catch (error) {
    if (response.headersSent) throw error;
    // Node refuses some header values that Headers accept.
    context.onWriterError(error);
    const plain = plainAnswer(context.registry);
    await send(node, response, plain.head, plain.content);
  }
}

/** Body of a failure that can no longer have a status, because its stream has begun. */
export function lateErrorBody(failure: Failure, context: ErrorContext): ErrorBody {
  try {
    return write(failure, context).body ?? { json: statusJson(failure.error, context.registry) };
  } catch (error) {
    context.onWriterError(error);
    return { json: statusJson(internalError(), context.registry) };
  }
}

interface ComposedAnswer {
  readonly head: Head;
  readonly content: Content | undefined;
}

function composeAnswer(failure: Failure, context: ErrorContext): ComposedAnswer {
  try {
    const answer = write(failure, context);
    const body = encodeBody(answer.body);
    const headers = failureHeaders(failure, context);
    new Headers(answer.headers).forEach((value, name) => headers.set(name, value));
    if (answer.status === 401 && !headers.has("www-authenticate")) {
      headers.set("www-authenticate", context.dialect.challenge ?? "Bearer");
    }
    const contentType = headers.has("content-type") ? undefined : body?.contentType;
    return { head: { status: checkedStatus(answer.status), headers, contentType }, content: body?.content };
  } catch (error) {
    context.onWriterError(error);
    return plainAnswer(context.registry);
  }
}

function write(failure: Failure, context: ErrorContext): ErrorAnswer {
  return (
    context.dialect.writeError?.(failure, context.request) ?? {
      status: failure.status,
      body: { json: statusJson(failure.error, context.registry) },
    }
  );
}

function failureHeaders(failure: Failure, { dialect, responseHeader }: ErrorContext): Headers {
  const headers = new Headers();
  if (responseHeader !== undefined) mergeAnswerHeaders(headers, responseHeader);
  const retryAfter = retryAfterOf(failure.error);
  if (retryAfter !== undefined) headers.set("retry-after", retryAfter);
  // Metadata of an error from another server is not for our client.
  if (!failure.error.isWireError) mergeAnswerHeaders(headers, failure.error.metadata);
  for (const name of dialect.withheldHeaders ?? []) headers.delete(name);
  if (failure.kind === "method_not_allowed") headers.set("allow", failure.allow.join(", "));
  return headers;
}

function encodeBody(body: ErrorBody | undefined): Payload | undefined {
  if (body === undefined) return undefined;
  return "json" in body
    ? { contentType: "application/json", content: JSON.stringify(body.json) }
    : { contentType: "text/plain; charset=utf-8", content: body.text };
}

function checkedStatus(status: number): number {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new Error(`an error writer gave the status ${status}`);
  }
  return status;
}

function plainAnswer(registry: Registry | undefined): ComposedAnswer {
  const head = { status: 500, headers: new Headers(), contentType: "application/json" };
  return { head, content: JSON.stringify(statusJson(internalError(), registry)) };
}

function internalError(): ConnectError {
  return new ConnectError("internal error", Code.Internal);
}
