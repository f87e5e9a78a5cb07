import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import { readTimeout } from "./deadline.ts";
import { withoutOrigin } from "./http-message.ts";

export interface CallInit {
  readonly method: DescMethod;
  /** `grpc`, `grpc-web`, `connect` or `rest`. */
  readonly protocolName: string;
  /** HTTP method. */
  readonly requestMethod: string;
  /** Request target as sent. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Makes the headers that handlers see; all but pseudo-headers by default. */
  readonly toHeaders?: (headers: IncomingHttpHeaders) => Headers;
  readonly values: ContextValues;
  readonly maxTimeoutMs: number;
  /** Makes the error for a deadline header that cannot be read. */
  readonly malformedTimeout: (header: string) => Error;
}

/** Reason of a call that has ended. Shared, because an error costs a stack trace. */
const over = new ConnectError("the call is over", Code.Canceled);

/**
 * A call of any protocol: a request to interceptors, and their context to the gate and the implementation. Headers, signal and
 * timer are created on first use, because most calls need none of them. Interceptors must pass this object on, not a copy.
 */
export class Call implements HandlerContext, CallContext {
  readonly stream = false;
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  readonly values: ContextValues;
  readonly deadline: number;
  /** Undefined, in spite of its type, until the message has been read. */
  message!: Message;
  readonly #init: CallInit;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reason: Error | undefined;
  #interrupt: ((reason: Error) => void) | undefined;

  /** A call whose deadline header is malformed is aborted from the start. */
  constructor(init: CallInit) {
    this.method = init.method;
    this.protocolName = init.protocolName;
    this.requestMethod = init.requestMethod;
    this.values = init.values;
    this.#init = init;
    let timeoutMs: number | undefined;
    try {
      timeoutMs = readTimeout(init.headers, init.maxTimeoutMs, init.malformedTimeout);
    } catch (error) {
      this.#reason = error as Error;
    }
    this.deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
  }

  get service() {
    return this.method.parent;
  }

  /** URL with a fixed origin: the Host header is data of the caller, and interceptors may parse this with `new URL`. */
  get url(): string {
    return `http://localhost${withoutOrigin(this.#init.target)}`;
  }

  get contextValues(): ContextValues {
    return this.values;
  }

  get header(): Headers {
    return this.requestHeader;
  }

  get requestHeader(): Headers {
    return (this.#requestHeader ??= (this.#init.toHeaders ?? webHeaders)(this.#init.headers));
  }

  get responseHeader(): Headers {
    return (this.#responseHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer ??= new Headers());
  }

  /** Response headers; undefined if none was set. */
  get setHeaders(): Headers | undefined {
    return this.#responseHeader;
  }

  /** Response trailers; undefined if none was set. */
  get setTrailers(): Headers | undefined {
    return this.#responseTrailer;
  }

  timeoutMs(): number | undefined {
    return this.deadline === Infinity ? undefined : this.deadline - performance.now();
  }

  /** Aborts at the deadline, when the client goes away, and when the call is over. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason === undefined) this.#startTimer();
      else this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** Aborts everything that waits for the call. The first reason counts. */
  abort(reason: Error = over): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#interrupt?.(reason);
    this.#controller?.abort(reason);
  }

  /** Runs `work`, but rejects as soon as the call is aborted or its deadline passes. One at a time. */
  until<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      this.#startTimer();
      if (this.#reason === undefined) work().then(resolve, reject);
      else reject(this.#reason);
    });
  }

  #startTimer(): void {
    if (this.deadline === Infinity || this.#timer !== undefined) return;
    const leftMs = this.deadline - performance.now();
    const expire = () => this.abort(new ConnectError("the deadline passed", Code.DeadlineExceeded));
    if (leftMs <= 0) expire();
    else this.#timer = setTimeout(expire, leftMs);
  }
}

export function clientGone(): ConnectError {
  return new ConnectError("the client went away", Code.Canceled);
}

/** Converts the headers that pass `isShown`; pseudo-headers never do. */
export function webHeaders(headers: IncomingHttpHeaders, isShown?: (name: string) => boolean): Headers {
  const web = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":") || isShown?.(name) === false) continue;
    if (typeof value === "string") web.append(name, value);
    else for (const one of value) web.append(name, one);
  }
  return web;
}
