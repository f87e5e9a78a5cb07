import type { JsonValue, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Call } from "../transport/call.ts";
import {
  type HttpRequest,
  type HttpResponse,
  abortResponse,
  endResponse,
} from "../transport/http-message.ts";
import { type Payload, encodeAnswer, writesHttpBody } from "./answer.ts";
import type { ServedRoute } from "./build-routes.ts";
import type { ErrorBody } from "./dialect.ts";
import { mergeAnswerHeaders } from "./http/headers.ts";
import { type StreamFormat, chooseStreamFormat } from "./http/media-type.ts";
import { bytesOf, sendHead, writeChunk } from "./http/send.ts";

/** Writes the messages of a stream. */
interface StreamWriter {
  readonly contentType: (first: Payload | undefined) => string;
  readonly message: (payload: Payload, id: string | undefined) => Uint8Array;
  /** Writes a late error; undefined if it would look like data. */
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
  message: ({ content }, id) => {
    const head = id === undefined ? "data: " : `id: ${id}\ndata: `;
    return Buffer.concat([Buffer.from(head), bytesOf(content), Buffer.from("\n\n")]);
  },
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

/** The id of a message's event; undefined if the route has none, or it could not be written in one line. */
function eventId({ eventStream, method }: ServedRoute, message: Message): string | undefined {
  if (eventStream === undefined) return undefined;
  const id = reflect(method.output, message).get(eventStream.id);
  return typeof id === "string" && !/[\r\n\0]/.test(id) ? id : undefined;
}

function streamWriter(route: ServedRoute, format: StreamFormat): StreamWriter {
  if (writesHttpBody(route)) return raw;
  return format === "sse" ? sse : ndjson;
}

/** A call that is answered with a stream. */
export interface StreamAnswer {
  readonly route: ServedRoute;
  readonly call: Call;
  readonly http: HttpRequest;
  readonly response: HttpResponse;
  readonly isGone: () => boolean;
  /** Writes an error that occurs after the head was sent. */
  readonly lateError: (error: unknown) => ErrorBody;
}

/**
 * Writes messages as a stream, and waits while the client reads slowly. Rejects if it fails before the first message, when the
 * answer can still have a status.
 */
export async function writeStream(messages: AsyncIterable<Message>, answer: StreamAnswer): Promise<void> {
  const { route, call, http, response, isGone, lateError } = answer;
  const writer = streamWriter(route, chooseStreamFormat(http.headers.accept));
  let hasBegun = false;
  const begin = (first?: Payload) => {
    if (hasBegun) return;
    hasBegun = true;
    const headers = new Headers();
    mergeAnswerHeaders(headers, call.responseHeader);
    mergeAnswerHeaders(headers, call.responseTrailer);
    sendHead(response, { status: route.successStatus, headers, contentType: writer.contentType(first) });
  };
  try {
    for await (const message of messages) {
      const payload = encodeAnswer(route, message);
      begin(payload);
      if (http.method === "HEAD") break;
      await writeChunk(response, writer.message(payload, eventId(route, message)), isGone());
    }
    begin();
    endResponse(response);
  } catch (error) {
    if (!response.headersSent) throw error;
    const body = lateError(error);
    if (writer.error === undefined) abortResponse(response);
    else if (!isGone()) endResponse(response, writer.error(body));
  }
}
