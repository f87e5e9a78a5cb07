import type { Readable } from "node:stream";
import type { DescMethodBiDiStreaming, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type HandlerContext,
  createConnectRouter,
  createContextKey,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { RequestError } from "../../rest/errors/failure.ts";
import type { Call } from "../../transport/call.ts";
import type { HttpRequest, HttpResponse } from "../../transport/http-message.ts";
import { type StreamSpec, onlyMessage } from "../../transport/pipeline.ts";
import { compressionNamed, compressions } from "./compression.ts";
import { withReadableGrpcMessage } from "./headers.ts";
import {
  type RpcMethod,
  type RpcServing,
  malformedMessage,
  messageTooLarge,
  openCall,
} from "./rpc-method.ts";

/** A request that Connect's handlers read. */
interface Received {
  readonly call: Call;
  /** Error of an unknown compression, which the handlers do not get to see. */
  readonly encodingError: unknown;
}

const receivedKey = createContextKey<Received | undefined>(undefined, { description: "received request" });

/**
 * Serves streams, gRPC-Web and unusual unary gRPC calls. Connect's handlers frame, compress and encode the messages; gate,
 * deadline, interceptors and errors are those of the pipeline. Connect sees every method as a stream in both directions, because
 * only then the implementation reads the messages: after the gate, and with its own errors for malformed ones.
 */
export class ConnectHandlers {
  readonly #serving: RpcServing;
  readonly #handlers: ReadonlyMap<RpcMethod, UniversalHandler>;

  constructor(serving: RpcServing, methods: Iterable<RpcMethod>) {
    this.#serving = serving;
    this.#handlers = new Map(Array.from(methods, (method) => [method, this.#handlerOf(method)]));
  }

  #handlerOf(method: RpcMethod): UniversalHandler {
    const router = createConnectRouter({
      acceptCompression: [...compressions],
      readMaxBytes: this.#serving.pipeline.readMaxBytes,
      jsonOptions: method.codec.jsonOptions,
      connect: method.handle === undefined,
    });
    const asBidi = { methodKind: { value: "bidi_streaming" } };
    router.rpc(Object.create(method.spec.method, asBidi) as DescMethodBiDiStreaming, (messages, context) =>
      this.#run(method, messages, context),
    );
    const [handler] = router.handlers;
    if (handler === undefined) throw new Error("Connect made no handler");
    return handler;
  }

  /** Rejects if it cannot write the answer. */
  async serve(method: RpcMethod, request: HttpRequest, response: HttpResponse): Promise<void> {
    const contentType = request.headers["content-type"] ?? "";
    const protocol = /^application\/(grpc(-web)?)/i.exec(contentType)?.[1]?.toLowerCase() ?? "connect";
    const call = openCall(this.#serving, method, protocol, request, response);
    // For HTTP/2 the stream: its response finishes only when the client has sent everything.
    const answered = "stream" in response ? response.stream : response;
    answered.once("finish", () => discardRest(request));
    withReadableGrpcMessage(response);
    const { header, encodingError } = connectHeaders(call);
    const answer = await this.#handlers.get(method)?.({
      // Connect refuses streams in both directions over HTTP/1.
      httpVersion: method.spec.kind === "bidi_streaming" ? request.httpVersion : "2.0",
      method: request.method ?? "",
      url: call.url,
      header,
      // An iterator that stops early would destroy the request and, with it, the connection.
      body: request.iterator({ destroyOnReturn: false }),
      signal: call.signal,
      contextValues: call.values.set(receivedKey, { call, encodingError }),
    });
    if (answer !== undefined) await universalResponseToNodeResponse(answer, response);
  }

  /** The implementation for Connect's handler. */
  async *#run(
    { spec, handle }: RpcMethod,
    messages: AsyncIterable<Message>,
    context: HandlerContext,
  ): AsyncGenerator<Message> {
    const received = context.values.get(receivedKey);
    if (received === undefined) throw new Error("the request is missing");
    const { pipeline } = this.#serving;
    const { call } = received;
    const input = readable(messages, received, pipeline.readMaxBytes);
    try {
      const outputs =
        handle === undefined
          ? pipeline.stream(spec as StreamSpec, call, input)
          : asStream(pipeline.perform({ call, handle, receive: () => onlyMessage(input) }));
      let isFirst = true;
      for await (const output of outputs) {
        if (isFirst) addTo(context.responseHeader, call.setHeaders);
        isFirst = false;
        yield output;
      }
      if (isFirst) addTo(context.responseHeader, call.setHeaders);
    } catch (error) {
      addTo(context.responseHeader, call.setHeaders);
      throw pipeline.outcomes.failed(error, call.values);
    } finally {
      addTo(context.responseTrailer, call.setTrailers);
      call.abort();
    }
  }
}

async function* asStream(output: Promise<Message | undefined>): AsyncGenerator<Message> {
  const message = await output;
  if (message !== undefined) yield message;
}

function addTo(target: Headers, headers: Headers | undefined): void {
  headers?.forEach((value, name) => target.append(name, value));
}

/** The messages of a request. Connect has INTERNAL for most malformed messages, which are errors of the caller. */
async function* readable(
  messages: AsyncIterable<Message>,
  { encodingError }: Received,
  readMaxBytes: number,
): AsyncGenerator<Message> {
  if (encodingError !== undefined) throw encodingError;
  try {
    yield* messages;
  } catch (error) {
    if (!(error instanceof ConnectError) || error instanceof RequestError) throw error;
    switch (error.code) {
      case Code.Internal:
      case Code.InvalidArgument:
        throw malformedMessage();
      case Code.ResourceExhausted:
        throw messageTooLarge(readMaxBytes);
      default:
        throw error;
    }
  }
}

/** Headers for Connect's handlers: without the deadline, which is the pipeline's, and with compression names in lower case. */
function connectHeaders(call: Call): { header: Headers; encodingError: unknown } {
  const header = new Headers(call.requestHeader);
  for (const name of ["grpc-timeout", "connect-timeout-ms"]) header.delete(name);
  const prefix = call.protocolName === "connect" ? "connect" : "grpc";
  const encodingName = prefix === "connect" ? "connect-content-encoding" : "grpc-encoding";
  const acceptName = `${prefix}-accept-encoding`;
  const accepted = header.get(acceptName);
  if (accepted !== null) header.set(acceptName, accepted.toLowerCase());
  let encodingError: unknown;
  try {
    const compression = compressionNamed(header.get(encodingName), call, acceptName);
    header.set(encodingName, compression?.name ?? "identity");
  } catch (error) {
    encodingError = error;
    header.delete(encodingName);
  }
  return { header, encodingError };
}

/**
 * Discards the rest of a body of which a part was read, so that the connection can serve the next request. The listener's
 * request timeout limits the time.
 */
function discardRest(source: Readable): void {
  if (source.readableEnded || source.destroyed) return;
  // An abandoned iterator keeps its listener, which stops the flow.
  source.removeAllListeners("readable").resume();
}
