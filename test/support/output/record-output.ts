import { hasSubscribers, subscribe } from "node:diagnostics_channel";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { relative } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { afterAll, expect } from "vitest";
import { beginFile, flush, recordOutput, recordSecret } from "./output.ts";
import { secretForms } from "./secret-search.ts";

// Vitest's `setupFiles`: runs in each test process, before the tests of each file. Records what HTTP servers of this process answer:
// the text of errors, and the secrets in successful answers. Node publishes every request on diagnostics channels.

beginFile(relative(process.cwd(), expect.getState().testPath ?? ""));
afterAll(flush);
// Files of test/unit share a process.
if (!hasSubscribers("http.server.request.start")) recordAnswers();

/** Bytes of an answer that are searched. Errors and secrets are shorter. */
const maxBytes = 262_144;

/** The part of an answer that was written so far. */
interface Body {
  readonly chunks: Buffer[];
  bytes: number;
}

function recordAnswers(): void {
  subscribe("http.server.request.start", (message) => {
    const { response } = message as { response: ServerResponse };
    const body = bodyOf(response);
    response.once("close", () => recordAnswer(response.statusCode, response.getHeaders(), {}, body));
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
    recordAnswer(Number(headers[":status"]), headers, stream.sentTrailers ?? {}, body);
  });
}

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

/** Decompresses as much as possible: an answer may be truncated. */
function inflated(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return bytes;
  }
}

type Metadata = OutgoingHttpHeaders | IncomingHttpHeaders;

function recordAnswer(status: number, headers: Metadata, trailers: Metadata, { chunks }: Body): void {
  const metadata = { ...headers, ...trailers };
  const { "grpc-status": grpcStatus = "0", "content-encoding": encoding } = metadata;
  const bytes = Buffer.concat(chunks);
  const text = (encoding === "gzip" ? inflated(bytes) : bytes).toString("latin1");
  const isError = status >= 400 || grpcStatus.toString() !== "0";
  if (isError) {
    const names = Object.entries(metadata).map(([name, value]) => `${name}: ${String(value)}`);
    recordOutput("error answer", [...names, text].join("\n"));
    return;
  }
  for (const chunk of chunks) {
    // Trailers of gRPC-Web or end of a Connect stream: both may carry an error.
    if (chunk[0] === 0x80 || chunk[0] === 0x02) recordOutput("end of a stream", chunk.toString("latin1"));
  }
  for (const { kind, form } of secretForms) {
    for (const [secret] of text.matchAll(form)) recordSecret({ kind, text: secret });
  }
}
