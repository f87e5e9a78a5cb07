import { subscribe } from "node:diagnostics_channel";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants, gunzipSync } from "node:zlib";
import { keepIssued, keepSaid } from "./output.ts";
import { secretForms } from "./secret-forms.ts";

// Looks over the shoulder of every HTTP server in this process, by the channels that Node has for that: what a client is told of a
// failure is kept, and so are the secrets that a success hands out, whoever asked.

/** Bytes of an answer that are looked at: more than any error and any secret has. */
const maxBytes = 262_144;

/** What was written of an answer so far. */
interface Body {
  readonly chunks: Buffer[];
  bytes: number;
}

/** Starts to listen, for as long as the process lives. */
export function keepAnswers(): void {
  subscribe("http.server.request.start", (message) => {
    const { response } = message as { response: ServerResponse };
    const body = bodyOf(response);
    response.once("close", () => keepAnswer(response.statusCode, response.getHeaders(), {}, body));
  });
  const bodies = new WeakMap<ServerHttp2Stream, Body>();
  subscribe("http2.server.stream.start", (message) => {
    const { stream } = message as { stream: ServerHttp2Stream };
    bodies.set(stream, bodyOf(stream));
  });
  subscribe("http2.server.stream.close", (message) => {
    const { stream } = message as { stream: ServerHttp2Stream };
    const headers = stream.sentHeaders ?? {};
    const body = bodies.get(stream) ?? { chunks: [], bytes: 0 };
    keepAnswer(Number(headers[":status"]), headers, stream.sentTrailers ?? {}, body);
  });
}

/** Collects what is written from now on. */
function bodyOf(writable: ServerResponse | ServerHttp2Stream): Body {
  const body: Body = { chunks: [], bytes: 0 };
  for (const name of ["write", "end"] as const) {
    const original: Function = Reflect.get(writable, name);
    Reflect.set(writable, name, (...args: unknown[]) => {
      const [chunk] = args;
      if ((typeof chunk === "string" || chunk instanceof Uint8Array) && body.bytes < maxBytes) {
        body.chunks.push(Buffer.from(chunk as string));
        body.bytes += chunk.length;
      }
      return Reflect.apply(original, writable, args);
    });
  }
  return body;
}

/** As much as there is: an answer may have been cut off. */
function inflated(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return bytes;
  }
}

type Metadata = OutgoingHttpHeaders | IncomingHttpHeaders;

function keepAnswer(status: number, headers: Metadata, trailers: Metadata, { chunks }: Body): void {
  const metadata = { ...headers, ...trailers };
  const { "grpc-status": grpcStatus = "0", "content-encoding": encoding } = metadata;
  const bytes = Buffer.concat(chunks);
  const text = (encoding === "gzip" ? inflated(bytes) : bytes).toString("latin1");
  const isError = status >= 400 || grpcStatus.toString() !== "0";
  if (isError) {
    const names = Object.entries(metadata).map(([name, value]) => `${name}: ${String(value)}`);
    keepSaid("error answer", [...names, text].join("\n"));
    return;
  }
  for (const chunk of chunks) {
    // The end of a stream over gRPC-Web, or over Connect, which may tell an error.
    if (chunk[0] === 0x80 || chunk[0] === 0x02) keepSaid("end of a stream", chunk.toString("latin1"));
  }
  for (const { kind, form } of secretForms) {
    for (const [secret] of text.matchAll(form)) keepIssued({ kind, text: secret });
  }
}
