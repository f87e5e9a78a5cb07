import type { DescMethod } from "@bufbuild/protobuf";
import { cors } from "@connectrpc/connect";
import type { Dialect } from "../rest/dialect.ts";
import type { Destination } from "../rest/transcoder.ts";
import {
  type HttpRequest,
  type HttpResponse,
  type RequestHandler,
  endEmpty,
  pathOf,
} from "../transport/http-message.ts";

export interface CrossOriginOptions {
  /** Origins whose pages may call everything that has no cookie. */
  readonly origins: readonly string[];
  /** Origins whose pages may call an API with its cookie. */
  readonly cookieOrigins: ReadonlyMap<Dialect, readonly string[]>;
  /** Methods that pages of any origin may read with GET. */
  readonly jwks: ReadonlySet<DescMethod>;
  readonly find: (httpMethod: string, path: string) => Destination;
  /** Called with each preflight that is answered. */
  readonly onPreflight: (request: HttpRequest) => void;
}

/** The pages that may read an answer. */
interface Readers {
  readonly origins: ReadonlySet<string> | "any";
  /** Whether they may send cookies. */
  readonly credentials: boolean;
}

const anyone: Readers = { origins: "any", credentials: false };

/** Request headers that a page may set: those of the protocols, credentials, deadlines and traces. */
const requestHeaders = [
  ...cors.allowedHeaders,
  "Accept",
  "Acting-User",
  "Authorization",
  "Baggage",
  "Cache-Control",
  "Grpc-Accept-Encoding",
  "Grpc-Encoding",
  "Last-Event-ID",
  "Traceparent",
  "Tracestate",
  "User-Agent",
  "X-Request-Id",
  "X-Server-Timeout",
  "X-Session-Token",
  "X-Stytch-Member-Session",
  "X-Stytch-Member-SessionJWT",
].join(", ");

/** Answer headers that a page may read, besides those that CORS always shows. */
const answerHeaders = [
  ...cors.exposedHeaders,
  "Allow",
  "Retry-After",
  "Sessiond-Error-Reason",
  "WWW-Authenticate",
  "X-Request-Id",
].join(", ");

/** Chromium's maximum. */
const maxAgeSeconds = 7200;

/**
 * Decides for every protocol which pages of other origins may call the service and read its answers (CORS, in the Fetch standard).
 * An API with a cookie has a list of origins of its own; neither list applies where the other does.
 */
export class CrossOrigin {
  readonly #options: CrossOriginOptions;
  readonly #general: Readers;
  readonly #cookie: ReadonlyMap<Dialect, Readers>;
  /** Whether any answer depends on the origin of its request. */
  readonly #varies: boolean;

  constructor(options: CrossOriginOptions) {
    this.#options = options;
    this.#general = { origins: new Set(options.origins), credentials: false };
    this.#cookie = new Map(
      Array.from(options.cookieOrigins, ([dialect, origins]) => [
        dialect,
        { origins: new Set(origins), credentials: true },
      ]),
    );
    this.#varies = [this.#general, ...this.#cookie.values()].some(dependsOnOrigin);
  }

  /** Answers preflights of allowed origins, and adds the headers of CORS to every other answer. */
  around(handler: RequestHandler): RequestHandler {
    return (request, response) => {
      const { method = "", headers } = request;
      if (headers.origin === undefined && !isRead(method)) {
        // No page sent it, and its answer is not cached. To look up whether it would vary is not worth its time.
        if (this.#varies) response.setHeader("vary", "origin");
        return handler(request, response);
      }
      const path = pathOf(request.url ?? "");
      const wanted = method === "OPTIONS" ? headers["access-control-request-method"] : undefined;
      const readers = this.#readersOf(wanted ?? method, path);
      if (!admit(response, readers, headers.origin)) return handler(request, response);
      const methods = wanted === undefined ? [] : this.#methodsOf(path, readers);
      if (methods.length > 0) return this.#answerPreflight(request, response, methods);
      response.setHeader("access-control-expose-headers", answerHeaders);
      return handler(request, response);
    };
  }

  #answerPreflight(request: HttpRequest, response: HttpResponse, methods: readonly string[]): Promise<void> {
    this.#options.onPreflight(request);
    response.setHeader("access-control-allow-methods", methods.join(", "));
    response.setHeader("access-control-allow-headers", requestHeaders);
    response.setHeader("access-control-max-age", maxAgeSeconds);
    return endEmpty(request, response, 204);
  }

  #readersOf(httpMethod: string, path: string): Readers {
    const { method, dialect } = this.#options.find(httpMethod, path);
    if (method !== undefined && isRead(httpMethod) && this.#options.jwks.has(method)) return anyone;
    return (dialect && this.#cookie.get(dialect)) ?? this.#general;
  }

  /** The HTTP methods of a path that these readers may use; none for an unknown path, or one with OPTIONS of its own. */
  #methodsOf(path: string, readers: Readers): readonly string[] {
    const destination = this.#options.find("OPTIONS", path);
    if (destination.method !== undefined) return [];
    return destination.allow.filter((httpMethod) => {
      const own = this.#readersOf(httpMethod, path);
      return own === readers || own === anyone;
    });
  }
}

function isRead(httpMethod: string): boolean {
  return httpMethod === "GET" || httpMethod === "HEAD";
}

function dependsOnOrigin({ origins }: Readers): boolean {
  return origins !== "any" && origins.size > 0;
}

/** Lets a page of an allowed origin read the answer, and says whether it is one. */
function admit(response: HttpResponse, readers: Readers, origin: string | undefined): boolean {
  const { origins, credentials } = readers;
  if (origins === "any") {
    response.setHeader("access-control-allow-origin", "*");
    return true;
  }
  if (dependsOnOrigin(readers)) response.setHeader("vary", "origin");
  if (origin === undefined || !origins.has(origin)) return false;
  response.setHeader("access-control-allow-origin", origin);
  if (credentials) response.setHeader("access-control-allow-credentials", "true");
  return true;
}
