import { Code, type ContextValues, createContextValues } from "@connectrpc/connect";
import type { Call } from "./call.ts";
import { type Dialect, type FailedRequest, defaultDialect } from "./dialect.ts";
import { type ErrorContext, sendFailure } from "./error-answer.ts";
import {
  Client,
  type NodeRequest,
  type Outgoing,
  type Target,
  cutOff,
  splitTarget,
} from "./http/exchange.ts";
import { type Failure, Refusal, failureOf, methodNotAllowed, pathNotFound } from "./errors/failure.ts";
import { requestHeaders } from "./http/headers.ts";
import type { Match, RouteTable } from "./routes/route-table.ts";
import type { ServedRoute } from "./build-routes.ts";
import { type Failing, type LateError, type ServeOptions, serve } from "./serve.ts";

/** What every attempt shares. */
export interface Station {
  readonly table: RouteTable<ServedRoute>;
  readonly dialectByPath: (path: string) => Dialect | undefined;
  readonly serveOptions: ServeOptions;
  readonly contextValues: ((request: NodeRequest) => ContextValues) | undefined;
  readonly onError: ((error: unknown, request: FailedRequest) => void) | undefined;
}

/** The attempt to answer one request. */
export class Attempt implements Failing {
  readonly #station: Station;
  readonly #node: NodeRequest;
  readonly #response: Outgoing;
  readonly #target: Target;
  readonly #match: Match<ServedRoute>;
  readonly #client: Client;
  #header: Headers | undefined;
  #contextValues: ContextValues | undefined;
  #call: Call | undefined;

  constructor(station: Station, node: NodeRequest, response: Outgoing) {
    this.#station = station;
    this.#node = node;
    this.#response = response;
    this.#target = splitTarget(node.url ?? "");
    this.#match = station.table.match(node.method ?? "", this.#target.path);
    this.#client = new Client(response);
  }

  /** Answers the request. Rejects only if not even an error could be sent. */
  async run(): Promise<void> {
    try {
      await this.#serve();
    } catch (error) {
      const failure = this.#failureOf(error);
      if (this.#response.headersSent) {
        cutOff(this.#node, this.#response);
      } else if (!this.#client.isGone) {
        await sendFailure(this.#node, this.#response, failure, this.#errorContext());
      }
    } finally {
      this.#call?.end();
    }
  }

  onCall(call: Call): void {
    this.#call = call;
  }

  onLateError(error: unknown): LateError {
    return { failure: this.#failureOf(error), context: this.#errorContext() };
  }

  #serve(): Promise<void> {
    const header = requestHeaders(this.#node.headers);
    this.#header = header;
    const contextValues = this.#station.contextValues?.(this.#node) ?? createContextValues();
    this.#contextValues = contextValues;
    switch (this.#match.kind) {
      case "not_found":
        throw new Refusal(pathNotFound());
      case "method_not_allowed":
        throw new Refusal(methodNotAllowed(this.#match.allow));
      case "found": {
        const { route, segments } = this.#match;
        const where = { node: this.#node, target: this.#target, client: this.#client };
        const request = { route, segments, ...where, header, contextValues };
        return serve(request, this.#response, this.#station.serveOptions, this);
      }
    }
  }

  /** The route, for 405 the one that the path best matches. */
  get #route(): ServedRoute | undefined {
    switch (this.#match.kind) {
      case "found":
        return this.#match.route;
      case "method_not_allowed":
        return this.#match.nearest;
      case "not_found":
        return undefined;
    }
  }

  get #dialect(): Dialect {
    const own = this.#route?.dialect;
    const dialect =
      this.#match.kind === "found" ? own : (this.#station.dialectByPath(this.#target.path) ?? own);
    return dialect ?? defaultDialect;
  }

  #failureOf(error: unknown): Failure {
    const failure = failureOf(error, this.#call?.signal);
    if (failure.error.code === Code.Internal && failure.error !== error) this.#report(error);
    return failure;
  }

  #errorContext(): ErrorContext {
    return {
      dialect: this.#dialect,
      request: this.#failedRequest(),
      responseHeader: this.#call?.context.responseHeader,
      registry: this.#station.serveOptions.registry,
      onWriterError: (error) => this.#report(error),
    };
  }

  #failedRequest(): FailedRequest {
    return {
      method: this.#route?.method,
      httpMethod: this.#node.method ?? "",
      path: this.#target.path,
      header: this.#header ?? new Headers(),
      contextValues: this.#contextValues ?? createContextValues(),
    };
  }

  #report(error: unknown): void {
    try {
      this.#station.onError?.(error, this.#failedRequest());
    } catch {
      // A logger that fails must not cost the client its answer.
    }
  }
}
