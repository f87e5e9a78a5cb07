import type { Readable } from "node:stream";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { RequestGate } from "../../rpc/gate.ts";
import { type RequestBytes, readRequestBytes } from "./request-bytes.ts";
import type { UnaryCall } from "./unary-call.ts";
import type { UnaryMethod } from "./unary-method.ts";

/** A unary call in one protocol: where its message comes from, and where its answer goes. */
export interface UnaryExchange {
  readonly call: UnaryCall;
  readonly body: Readable;
  /** Longest body that can hold a message, in bytes. */
  readonly maxBodyBytes: number;
  /** The message; undefined where the body is not just one message, plain and readable. */
  decode(body: Buffer): Message | undefined;
  /** Has Connect's own handlers answer, given what was read of the body: there is one place where such a call is refused. */
  replay(received: RequestBytes): Promise<void>;
  encode(output: Message): Uint8Array;
  succeed(message: Uint8Array): void | Promise<void>;
  fail(error: ConnectError): void | Promise<void>;
}

/**
 * Runs a unary call as Connect's handlers do: through the gate before a byte of the body is looked at, then interceptors and
 * implementation. They send each message through a dozen async iterables; this takes an eighth of their time.
 */
export async function runUnary(
  method: UnaryMethod,
  gate: RequestGate,
  exchange: UnaryExchange,
): Promise<void> {
  const { call } = exchange;
  try {
    const letIn = gate(call);
    if (letIn !== undefined) await letIn;
  } catch (error) {
    return exchange.fail(shownError(error));
  }
  const received = await readRequestBytes(exchange.body, exchange.maxBodyBytes);
  if (received === undefined) return undefined;
  const input = received.whole ? exchange.decode(received.bytes) : undefined;
  if (input === undefined) return exchange.replay(received);
  call.message = input;
  let output: Uint8Array;
  try {
    const answer = await method.invoke(call);
    if (answer.stream) throw new Error("an interceptor made a stream of a unary answer");
    output = exchange.encode(answer.message);
  } catch (error) {
    return exchange.fail(shownError(error));
  }
  return exchange.succeed(output);
}

/** What is no ConnectError is told without its text, as Connect does. */
function shownError(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
