import {
  type DescMethodUnary,
  type Message,
  create,
  fromBinary,
  isMessage,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import type { Interceptor, MethodImplSpec, StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { type JsonOptions, parseStrictly } from "./strict-json.ts";
import { UnaryCall } from "./unary-call.ts";

/** A unary method and what implements it. */
export type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

/** A unary method with its implementation behind the interceptors: put together once, not for every call. */
export interface UnaryMethod {
  readonly method: DescMethodUnary;
  /** Runs the call, whose message must be there. Rejects as the interceptors do. */
  readonly invoke: (call: UnaryCall) => Promise<UnaryResponse | StreamResponse>;
  /** The message; undefined where the bytes are none. */
  readonly decodeBinary: (bytes: Uint8Array) => Message | undefined;
  readonly decodeJson: (bytes: Buffer) => Message | undefined;
  readonly encodeBinary: (message: Message) => Uint8Array;
  readonly encodeJson: (message: Message) => Uint8Array;
  /** How the details of errors are written, too. */
  readonly jsonOptions: JsonOptions;
}

/** Puts a method behind the interceptors, the first of which sees the call first, as Connect does. */
export function prepareUnary(
  spec: UnarySpec,
  interceptors: readonly Interceptor[],
  jsonOptions: JsonOptions,
): UnaryMethod {
  const { method } = spec;
  type Next = Parameters<Interceptor>[0];
  const implementation: Next = async (call) => {
    if (!(call instanceof UnaryCall)) throw new Error("an interceptor did not hand on the call it was given");
    const answer = await spec.impl(call.message, call);
    // Implementations may answer with a message or with what makes one.
    const message = isMessage(answer, method.output) ? answer : create(method.output, answer);
    return new UnaryAnswer(call, message);
  };
  const chain = interceptors.reduceRight((next, interceptor) => interceptor(next), implementation);
  return {
    method,
    invoke: chain,
    decodeBinary: readable((bytes: Uint8Array) => fromBinary(method.input, bytes)),
    decodeJson: readable((bytes: Buffer) => parseStrictly(method.input, bytes)),
    encodeBinary: (message) => toBinary(method.output, message),
    encodeJson: (message) => Buffer.from(toJsonString(method.output, message, jsonOptions)),
    jsonOptions,
  };
}

function readable<Bytes>(read: (bytes: Bytes) => Message): (bytes: Bytes) => Message | undefined {
  return (bytes) => {
    try {
      return read(bytes);
    } catch {
      return undefined;
    }
  };
}

/** A unary answer as interceptors see it; headers come into being when asked for. */
class UnaryAnswer implements UnaryResponse {
  readonly stream = false;
  readonly message: Message;
  readonly #call: UnaryCall;

  constructor(call: UnaryCall, message: Message) {
    this.#call = call;
    this.message = message;
  }

  get method() {
    return this.#call.method;
  }

  get service() {
    return this.#call.service;
  }

  get header() {
    return this.#call.responseHeader;
  }

  get trailer() {
    return this.#call.responseTrailer;
  }
}
