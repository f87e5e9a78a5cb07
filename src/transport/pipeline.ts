import { type DescMethod, type Message, create, isMessage } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type Interceptor,
  type MethodImplSpec,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { Call } from "./call.ts";
import { maxTimerMs } from "./deadline.ts";

/** Admits a call or throws. Runs before the message is read. */
export type Gate = (call: Call) => void | Promise<void>;

/** An implementation behind the interceptors. The call must have its message. */
export type UnaryHandler = (call: Call) => Promise<Message>;

export type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;
export type StreamSpec = Exclude<MethodImplSpec, UnarySpec>;

/** Records how calls end, and makes the errors for callers. */
export interface Outcomes {
  /** Called when a unary call has its answer or a stream begins. */
  succeeded(values: ContextValues): void;
  /** May be called again with an error that it returned. */
  failed(error: unknown, values: ContextValues): ConnectError;
}

export interface PipelineOptions {
  readonly requestGate?: Gate | undefined;
  /** The first one is the outermost, as in Connect. */
  readonly interceptors?: readonly Interceptor[];
  readonly outcomes?: Outcomes;
  /** Longest message in bytes, as sent and decompressed; 4 MiB by default. */
  readonly readMaxBytes?: number;
  /** Cap of deadlines in milliseconds; by default the longest delay of a Node.js timer. */
  readonly maxTimeoutMs?: number;
  /** Ends streams with its reason. Unary calls finish, because their callers would not know whether they took effect. */
  readonly shutdownSignal?: AbortSignal | undefined;
}

/** Reads the message and writes the answer of a unary call in one protocol. */
export interface UnaryExchange<Answer = unknown> {
  readonly call: Call;
  readonly handle: UnaryHandler;
  /** Reads the message, once; undefined if the client is gone. */
  receive(): Promise<Message | undefined>;
  encode(output: Message): Answer;
  succeed(answer: Answer): void | Promise<void>;
  fail(error: unknown): void | Promise<void>;
}

type Performance = Pick<UnaryExchange, "call" | "handle" | "receive">;

/** Runs the calls of all protocols: gate, message, interceptors, implementation. */
export class Pipeline {
  readonly outcomes: Outcomes;
  readonly readMaxBytes: number;
  readonly maxTimeoutMs: number;
  readonly #gate: Gate | undefined;
  readonly #interceptors: readonly Interceptor[];
  readonly #shutdownSignal: AbortSignal | undefined;
  readonly #handlers = new Map<MethodImplSpec, UnaryHandler>();

  constructor(options: PipelineOptions) {
    this.outcomes = options.outcomes ?? { succeeded: () => {}, failed: toConnectError };
    this.readMaxBytes = options.readMaxBytes ?? 4 * 1024 * 1024;
    this.maxTimeoutMs = Math.min(options.maxTimeoutMs ?? maxTimerMs, maxTimerMs);
    this.#gate = options.requestGate;
    this.#interceptors = options.interceptors ?? [];
    this.#shutdownSignal = options.shutdownSignal;
  }

  /** Puts a method behind the interceptors, once for all protocols. */
  handlerOf(spec: UnarySpec): UnaryHandler {
    let handler = this.#handlers.get(spec);
    if (handler === undefined) {
      handler = composeUnary(spec, this.#interceptors);
      this.#handlers.set(spec, handler);
    }
    return handler;
  }

  /** Runs a unary call and answers it. Rejects only if the answer cannot be written. */
  async run<Answer>(exchange: UnaryExchange<Answer>): Promise<void> {
    let answer: Answer;
    try {
      const output = await this.perform(exchange);
      if (output === undefined) return undefined;
      answer = exchange.encode(output);
    } catch (error) {
      return exchange.fail(error);
    }
    return exchange.succeed(answer);
  }

  /** Runs a unary call up to its output, by its deadline; undefined if the client is gone. */
  perform(exchange: Performance): Promise<Message | undefined> {
    const { call } = exchange;
    return call.deadline === Infinity ? this.#perform(exchange) : call.until(() => this.#perform(exchange));
  }

  async #perform(exchange: Performance): Promise<Message | undefined> {
    const { call } = exchange;
    call.throwIfAborted();
    const admitted = this.#gate?.(call);
    if (admitted !== undefined) {
      await admitted;
      call.throwIfAborted();
    }
    const message = await exchange.receive();
    if (message === undefined) return undefined;
    call.throwIfAborted();
    call.message = message;
    const output = await exchange.handle(call);
    this.outcomes.succeeded(call.values);
    return output;
  }

  /** Runs a call that answers with a stream. An abort ends it at any step, with the reason of the abort. */
  async *stream(spec: StreamSpec, call: Call, messages: AsyncIterable<Message>): AsyncGenerator<Message> {
    const shutdown = this.#shutdownSignal;
    const onShutdown = () => call.abort(shutdown?.reason);
    shutdown?.addEventListener("abort", onShutdown);
    let outputs: AsyncIterator<Message> | undefined;
    // A proxy must pass on each message at once.
    call.responseHeader.set("x-accel-buffering", "no");
    call.responseHeader.set("cache-control", "no-store");
    try {
      if (shutdown?.aborted === true) onShutdown();
      const opened = await call.until(async () => {
        await this.#gate?.(call);
        return this.#open(spec, call, messages);
      });
      outputs = opened[Symbol.asyncIterator]();
      this.outcomes.succeeded(call.values);
      for (;;) {
        const iterator = outputs;
        const next = await call.until(() => iterator.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      shutdown?.removeEventListener("abort", onShutdown);
      call.abort();
      // Not awaited, because a generator returns only after what it is waiting for.
      outputs?.return?.().catch(() => {});
    }
  }

  async #open(
    spec: StreamSpec,
    call: Call,
    messages: AsyncIterable<Message>,
  ): Promise<AsyncIterable<Message>> {
    const { method } = spec;
    const common = { stream: true, method, service: method.parent } as const;
    const implementation: Next = async (request) => ({
      ...common,
      header: call.responseHeader,
      trailer: call.responseTrailer,
      message: outputsOf(spec, (request as StreamRequest).message, call),
    });
    const answer = await compose(
      implementation,
      this.#interceptors,
    )({
      ...common,
      requestMethod: call.requestMethod,
      url: call.url,
      signal: call.signal,
      header: call.requestHeader,
      contextValues: call.values,
      message: messages,
    });
    if (!answer.stream) throw new Error("an interceptor answered a stream with a single message");
    return answer.message;
  }
}

type Next = Parameters<Interceptor>[0];

function compose(implementation: Next, interceptors: readonly Interceptor[]): Next {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), implementation);
}

function composeUnary(spec: UnarySpec, interceptors: readonly Interceptor[]): UnaryHandler {
  const { method } = spec;
  const invoke = async (call: Call) => completed(method, await spec.impl(call.message, call));
  if (interceptors.length === 0) return invoke;
  const chain = compose(async (request) => {
    if (!(request instanceof Call)) throw new Error("an interceptor did not pass on the call it was given");
    return {
      stream: false,
      method,
      service: method.parent,
      message: await invoke(request),
      header: request.responseHeader,
      trailer: request.responseTrailer,
    };
  }, interceptors);
  return async (call) => {
    const answer = await chain(call as unknown as UnaryRequest);
    if (answer.stream) throw new Error("an interceptor answered a unary call with a stream");
    return answer.message;
  };
}

async function* outputsOf(
  spec: StreamSpec,
  messages: AsyncIterable<Message>,
  call: Call,
): AsyncGenerator<Message> {
  switch (spec.kind) {
    case "server_streaming":
      for await (const output of spec.impl(await onlyMessage(messages), call)) {
        yield completed(spec.method, output);
      }
      break;
    case "client_streaming":
      yield completed(spec.method, await spec.impl(messages, call));
      break;
    case "bidi_streaming":
      for await (const output of spec.impl(messages, call)) yield completed(spec.method, output);
      break;
  }
}

/** Implementations answer with a message or with its fields. */
function completed(method: DescMethod, output: Parameters<typeof create>[1]): Message {
  return isMessage(output, method.output) ? output : create(method.output, output);
}

/** The message of a call that has exactly one. */
export async function onlyMessage(messages: AsyncIterable<Message>): Promise<Message> {
  let only: Message | undefined;
  for await (const message of messages) {
    if (only !== undefined) throw wrongMessageCount("more than one message");
    only = message;
  }
  if (only === undefined) throw wrongMessageCount("no message");
  return only;
}

/** The error that gRPC prescribes for a call whose number of messages its method does not take. */
export function wrongMessageCount(count: "no message" | "more than one message"): ConnectError {
  return new ConnectError(`${count} for a method that takes exactly one`, Code.Unimplemented);
}

/** The one place that turns an exception without a code into INTERNAL, without its text. */
export function toConnectError(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
