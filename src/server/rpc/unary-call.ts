import type { IncomingHttpHeaders } from "node:http";
import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type UnaryRequest,
} from "@connectrpc/connect";

/** What a call starts with. */
export interface UnaryCallInit {
  readonly method: DescMethodUnary;
  readonly protocolName: string;
  readonly origin: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly values: ContextValues;
  /** What is left until the caller's deadline, in milliseconds; undefined where it set none. */
  readonly timeout: number | undefined;
}

/** Why a call's signal aborts once its answer is made: one object for all, as making an error takes a stack trace. */
const over = new ConnectError("the call is over", Code.Canceled);

/**
 * A unary call: to interceptors a request, to the gate and the implementation their context. Connect makes an abort
 * controller, a deadline and four `Headers` for each call, and copies the context twice; here each part comes into being
 * when somebody asks for it, which most calls never do. Interceptors must hand this object on, not a copy.
 */
export class UnaryCall implements HandlerContext, UnaryRequest {
  readonly stream = false;
  readonly method: DescMethodUnary;
  readonly protocolName: string;
  readonly requestMethod = "POST";
  readonly values: ContextValues;
  /** Undefined, in spite of its type, until the gate has let the call in. */
  message!: Message;
  readonly #init: UnaryCallInit;
  readonly #deadline: number | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #aborted: Error | undefined;

  constructor(init: UnaryCallInit) {
    this.method = init.method;
    this.protocolName = init.protocolName;
    this.values = init.values;
    this.#init = init;
    this.#deadline = init.timeout === undefined ? undefined : Date.now() + init.timeout;
  }

  get service() {
    return this.method.parent;
  }

  get url(): string {
    return this.#init.origin + this.#init.path;
  }

  get contextValues(): ContextValues {
    return this.values;
  }

  get header(): Headers {
    return this.requestHeader;
  }

  get requestHeader(): Headers {
    return (this.#requestHeader ??= webHeaders(this.#init.headers));
  }

  get responseHeader(): Headers {
    return (this.#responseHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer ??= new Headers());
  }

  /** Aborts when the deadline passes, the caller goes away, or the call is over. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) {
        this.#controller.abort(this.#aborted);
      } else if (this.#deadline !== undefined) {
        const expire = () => this.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
        this.#timer = setTimeout(expire, Math.max(0, this.#deadline - Date.now()));
      }
    }
    return this.#controller.signal;
  }

  /** Whether the signal has aborted, or would have if it had been asked for. */
  get aborted(): boolean {
    return this.#aborted !== undefined;
  }

  timeoutMs(): number | undefined {
    return this.#deadline === undefined ? undefined : this.#deadline - Date.now();
  }

  /** Headers that the implementation set; undefined where it looked at none. */
  get setHeaders(): Headers | undefined {
    return this.#responseHeader;
  }

  /** Trailers that the implementation set; undefined where it looked at none. */
  get setTrailers(): Headers | undefined {
    return this.#responseTrailer;
  }

  /** Ends the call for whoever listens to its signal. The first reason counts. */
  abort(reason: Error = over): void {
    this.#aborted ??= reason;
    clearTimeout(this.#timer);
    this.#controller?.abort(this.#aborted);
  }
}

/** Request headers as the web has them, without the pseudo-headers of HTTP/2. */
function webHeaders(headers: IncomingHttpHeaders): Headers {
  const web = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":")) continue;
    if (typeof value === "string") web.append(name, value);
    else for (const one of value) web.append(name, one);
  }
  return web;
}
