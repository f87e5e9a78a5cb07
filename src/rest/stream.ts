import type { JsonValue, Message } from "@bufbuild/protobuf";
import { clientGone } from "../transport/call.ts";
import { abortResponse, endResponse } from "../transport/http-message.ts";
import type { StreamSpec } from "../transport/pipeline.ts";
import { type Payload, defaultWrite, encodeAnswer, writesHttpBody } from "./answer.ts";
import type { ErrorBody } from "./dialect.ts";
import { lateErrorBody } from "./error-answer.ts";
import { type StreamFormat, chooseStreamFormat } from "./http/media-type.ts";
import { bytesOf, sendHead, writeChunk } from "./http/send.ts";
import { type RoutedCall, answerHeaders, receiveMessage } from "./rest-exchange.ts";
import type { CompiledRoute } from "./routes/route.ts";

/** How the messages of one stream become bytes. */
interface StreamWriter {
  readonly contentType: (first: Payload | undefined) => string;
  readonly message: (payload: Payload) => Uint8Array;
  /** The end of a stream that fails after its head was sent; undefined if an error could not be told from data. */
  readonly error: ((body: ErrorBody) => Uint8Array) | undefined;
}

/** Lines of JSON; an error is a last line `{"error": …}`. */
const ndjson: StreamWriter = {
  contentType: () => "application/x-ndjson",
  message: ({ content }) => Buffer.concat([bytesOf(content), Buffer.from("\n")]),
  error: (body) => Buffer.from(`${JSON.stringify({ error: errorValue(body) })}\n`),
};

/** Server-sent events; an error is a last event named "error". */
const sse: StreamWriter = {
  contentType: () => "text/event-stream",
  message: ({ content }) => Buffer.concat([Buffer.from("data: "), bytesOf(content), Buffer.from("\n\n")]),
  error: (body) => Buffer.from(`event: error\ndata: ${JSON.stringify(errorValue(body))}\n\n`),
};

/** The bytes of google.api.HttpBody messages one after the other, under the content type of the first. */
const raw: StreamWriter = {
  contentType: (first) => first?.contentType ?? "application/octet-stream",
  message: ({ content }) => bytesOf(content),
  error: undefined,
};

function errorValue(body: ErrorBody): JsonValue {
  return "json" in body ? body.json : body.text;
}

function streamWriter(route: CompiledRoute, format: StreamFormat): StreamWriter {
  if (writesHttpBody(route)) return raw;
  return format === "sse" ? sse : ndjson;
}

/**
 * Answers a call with a stream, and waits if the client reads slowly. Rejects if it fails before its first message, when the
 * answer can still have a status.
 */
export async function answerStream(routed: RoutedCall, spec: StreamSpec): Promise<void> {
  const { request, call, route } = routed;
  const { http, response, context } = request;
  const writer = streamWriter(route, chooseStreamFormat(http.headers.accept));
  try {
    let hasHead = false;
    const begin = (first: Payload | undefined) => {
      const headers = answerHeaders(call);
      sendHead(response, { status: route.successStatus, headers, contentType: writer.contentType(first) });
      hasHead = true;
    };
    for await (const message of context.pipeline.stream(spec, call, messageOf(routed))) {
      const payload = encodeAnswer(route, message, route.dialect.write ?? defaultWrite);
      if (!hasHead) begin(payload);
      if (http.method === "HEAD") break;
      await writeChunk(response, writer.message(payload), request.isGone);
    }
    if (!hasHead) begin(undefined);
    endResponse(response);
  } catch (error) {
    if (!response.headersSent) throw error;
    const body = lateErrorBody(request.failureOf(error), request.errorContext());
    if (writer.error === undefined) abortResponse(response);
    else if (!request.isGone) endResponse(response, writer.error(body));
  }
}

async function* messageOf(routed: RoutedCall): AsyncGenerator<Message> {
  const message = await receiveMessage(routed);
  if (message === undefined) throw clientGone();
  yield message;
}
