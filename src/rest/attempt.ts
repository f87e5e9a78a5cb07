import { Code, createContextValues, type ContextValues } from "@connectrpc/connect";
import type { Call } from "./call.ts";
import { defaultDialect, type Dialect, type FailedRequest } from "./dialect.ts";
import { sendFailure, type ErrorContext } from "./error-answer.ts";
import { Client, cutOff, splitTarget, type NodeRequest, type Outgoing, type Target } from "./exchange.ts";
import { failureOf, methodNotAllowed, pathNotFound, Refusal, type Failure } from "./failure.ts";
import { requestHeaders } from "./headers.ts";
import type { Match, RouteTable } from "./route-table.ts";
import type { ServedRoute } from "./routing.ts";
import { serve, type Failing, type LateError, type ServeOptions } from "./serve.ts";

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
  private readonly station: Station;
  private readonly node: NodeRequest;
  private readonly response: Outgoing;
  private readonly target: Target;
  private readonly match: Match<ServedRoute>;
  private readonly client: Client;
  private header: Headers | undefined;
  private contextValues: ContextValues | undefined;
  private call: Call | undefined;

  constructor(station: Station, node: NodeRequest, response: Outgoing) {
    this.station = station;
    this.node = node;
    this.response = response;
    this.target = splitTarget(node.url ?? "");
    this.match = station.table.match(node.method ?? "", this.target.path);
    this.client = new Client(response);
  }

  /** Answers the request. Rejects only if not even an error could be sent. */
  async run(): Promise<void> {
    try {
      await this.serve();
    } catch (error) {
      const failure = this.failureOf(error);
      if (this.response.headersSent) {
        cutOff(this.node, this.response);
      } else if (!this.client.isGone) {
        await sendFailure(this.node, this.response, failure, this.errorContext());
      }
    } finally {
      this.call?.end();
    }
  }

  onCall(call: Call): void {
    this.call = call;
  }

  onLateError(error: unknown): LateError {
    return { failure: this.failureOf(error), context: this.errorContext() };
  }

  private serve(): Promise<void> {
    const header = requestHeaders(this.node.headers);
    this.header = header;
    const contextValues = this.station.contextValues?.(this.node) ?? createContextValues();
    this.contextValues = contextValues;
    switch (this.match.kind) {
      case "not_found":
        throw new Refusal(pathNotFound());
      case "method_not_allowed":
        throw new Refusal(methodNotAllowed(this.match.allow));
      case "found": {
        const { node, target, client } = this;
        const { route, segments } = this.match;
        const request = { route, segments, node, target, header, contextValues, client };
        return serve(request, this.response, this.station.serveOptions, this);
      }
    }
  }

  /** The route, for 405 the one that the path best matches. */
  private get route(): ServedRoute | undefined {
    switch (this.match.kind) {
      case "found":
        return this.match.route;
      case "method_not_allowed":
        return this.match.nearest;
      case "not_found":
        return undefined;
    }
  }

  private get dialect(): Dialect {
    const own = this.route?.dialect;
    const dialect = this.match.kind === "found" ? own : (this.station.dialectByPath(this.target.path) ?? own);
    return dialect ?? defaultDialect;
  }

  private failureOf(error: unknown): Failure {
    const failure = failureOf(error, this.call?.signal);
    if (failure.error.code === Code.Internal && failure.error !== error) {
      this.report(error);
    }
    return failure;
  }

  private errorContext(): ErrorContext {
    return {
      dialect: this.dialect,
      request: this.failedRequest(),
      responseHeader: this.call?.context.responseHeader,
      registry: this.station.serveOptions.registry,
      onWriterError: (error) => this.report(error),
    };
  }

  private failedRequest(): FailedRequest {
    return {
      method: this.route?.method,
      httpMethod: this.node.method ?? "",
      path: this.target.path,
      header: this.header ?? new Headers(),
      contextValues: this.contextValues ?? createContextValues(),
    };
  }

  private report(error: unknown): void {
    try {
      this.station.onError?.(error, this.failedRequest());
    } catch {
      // A logger that fails must not cost the client its answer.
    }
  }
}
