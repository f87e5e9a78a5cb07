import type { JsonValue, JsonWriteOptions, Message } from "@bufbuild/protobuf";
import { type Payload, encodeAnswer, writesHttpBody } from "./answer.ts";
import type { ErrorBody } from "./dialect.ts";
import { type Client, type Outgoing, writeChunk } from "./http/exchange.ts";
import type { StreamFormat } from "./http/media-type.ts";
import type { CompiledRoute } from "./routes/route.ts";
import { bytesOf, sendHead } from "./http/send.ts";

/** How the messages of one stream become bytes. */
export interface StreamWriter {
  readonly contentType: (first: Payload | undefined) => string;
  readonly message: (payload: Payload) => Uint8Array;
  /** The last words of a stream that fails after its head is sent; none where bytes cannot be told from data. */
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

/** Chooses the writer of a route's stream. */
export function streamWriter(route: CompiledRoute, format: StreamFormat): StreamWriter {
  if (writesHttpBody(route)) return raw;
  return format === "sse" ? sse : ndjson;
}

/**
 * Sends a stream of messages, waiting where the client reads slowly. The head is sent with the first message, so that
 * an error before it rejects while the answer can still have a status; later ones reject too, with the head sent.
 */
export async function sendStream(
  response: Outgoing,
  route: CompiledRoute,
  messages: AsyncIterator<Message>,
  options: {
    readonly writer: StreamWriter;
    readonly headers: () => Headers;
    readonly write: Partial<JsonWriteOptions>;
    readonly client: Client;
  },
): Promise<void> {
  let next = await messages.next();
  let payload = next.done === true ? undefined : encodeAnswer(route, next.value, options.write);
  sendHead(response, {
    status: route.successStatus,
    headers: options.headers(),
    contentType: options.writer.contentType(payload),
  });
  while (payload !== undefined) {
    await writeChunk(response, options.writer.message(payload), options.client);
    next = await messages.next();
    payload = next.done === true ? undefined : encodeAnswer(route, next.value, options.write);
  }
  response.end();
}
