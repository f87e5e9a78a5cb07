import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";

const code = { internal: "13", invalidArgument: "3" } as const;
const message = "the message is not what its content type and encoding say";

/**
 * The answer to a call whose message could not be read. Connect calls some of these INTERNAL, and HTTP 500: broken protobuf,
 * compression that ends early. They are the caller's fault, and INVALID_ARGUMENT; other answers stay as they are.
 */
export async function blameMessage(answer: UniversalServerResponse): Promise<UniversalServerResponse> {
  const contentType = answer.header?.get("content-type") ?? "";
  if (contentType.startsWith("application/grpc-web")) return blameInGrpcWeb(answer);
  if (answer.trailer?.get("grpc-status") === code.internal) setStatus(answer.trailer);
  return answer.status === 500 ? connectError(answer) : answer;
}

/** The same for methods with streams, whose messages are read while the call runs. */
export const blameStreamedMessages: Interceptor = (next) => (request) =>
  next(request.stream ? { ...request, message: blaming(request.message) } : request);

async function* blaming<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    const isUnreadable = error instanceof ConnectError && error.code === Code.Internal;
    throw isUnreadable ? new ConnectError(message, Code.InvalidArgument) : error;
  }
}

function setStatus(target: Headers): void {
  target.set("grpc-status", code.invalidArgument);
  target.set("grpc-message", encodeURIComponent(message));
}

function connectError({ header }: UniversalServerResponse): UniversalServerResponse {
  const body = Buffer.from(JSON.stringify({ code: "invalid_argument", message }));
  const headers = new Headers(header);
  headers.delete("content-encoding");
  headers.set("content-length", String(body.length));
  return { status: 400, header: headers, body: only(body) };
}

/** gRPC-Web writes its trailers into the body; an answer without messages may have them as headers instead. */
async function blameInGrpcWeb(answer: UniversalServerResponse): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body ?? []) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (!/^grpc-status: *13\r?$/m.test(body.subarray(frameHead).toString("latin1"))) {
    return { ...answer, body: only(body) };
  }
  const header = new Headers(answer.header);
  setStatus(header);
  return { status: answer.status, header };
}

/** Flags and length before what a frame holds. */
const frameHead = 5;

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
