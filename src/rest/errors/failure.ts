import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";

/** The part of a request that could not be read. */
export type Place = "path" | "query" | "body" | "header";

/** Kinds of failures, over which a dialect can switch. */
export type FailureKind =
  | { readonly kind: "path_not_found" }
  | { readonly kind: "method_not_allowed"; readonly allow: readonly string[] }
  | { readonly kind: "unsupported_media_type" }
  | { readonly kind: "body_too_large"; readonly limitBytes: number }
  /** `field` is the invalid field path, query parameter or header. */
  | { readonly kind: "bad_request"; readonly place: Place; readonly field: string | undefined }
  /** The request gate, an interceptor or the implementation threw, or the deadline passed. */
  | { readonly kind: "handler" };

/** A failed request: the RPC error and the HTTP status, which a dialect may replace. */
export type Failure = FailureKind & { readonly status: number; readonly error: ConnectError };

/** An error of the transcoder. Its name stays "ConnectError", by which Connect recognizes its errors. */
export class RequestError extends ConnectError {
  readonly #kind: FailureKind;
  readonly #status: number;

  constructor(kind: FailureKind, status: number, ...error: ConstructorParameters<typeof ConnectError>) {
    super(...error);
    this.#kind = kind;
    this.#status = status;
  }

  get failure(): Failure {
    return { ...this.#kind, status: this.#status, error: this };
  }

  // That of ConnectError looks at members only, and would take every ConnectError for a RequestError.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && #kind in value;
  }
}

export function pathNotFound(): RequestError {
  return new RequestError({ kind: "path_not_found" }, 404, "no such path", Code.NotFound);
}

export function methodNotAllowed(allow: readonly string[]): RequestError {
  const reason = `method not allowed here, only ${allow.join(", ")}`;
  return new RequestError({ kind: "method_not_allowed", allow }, 405, reason, Code.Unimplemented);
}

/** `headers` may say which content types or encodings are accepted. */
export function unsupportedMediaType(reason: string, headers: Record<string, string> = {}): RequestError {
  return new RequestError({ kind: "unsupported_media_type" }, 415, reason, Code.InvalidArgument, headers);
}

export function bodyTooLarge(limitBytes: number): RequestError {
  const reason = `the body is larger than ${limitBytes} bytes`;
  return new RequestError({ kind: "body_too_large", limitBytes }, 413, reason, Code.ResourceExhausted);
}

/** Part of the request is invalid. `reason` must not repeat a value of the request, which may be a secret. */
export function badRequest(place: Place, field: string | undefined, reason: string): RequestError {
  const details =
    field === undefined
      ? []
      : [{ desc: BadRequestSchema, value: { fieldViolations: [{ field, description: reason }] } }];
  const where = field === undefined ? place : `${place}, "${field}"`;
  const kind = { kind: "bad_request", place, field } as const;
  return new RequestError(kind, 400, `${where}: ${reason}`, Code.InvalidArgument, undefined, details);
}

const timeoutForms: Readonly<Record<string, string>> = {
  "grpc-timeout": "up to 8 digits and a unit of H, M, S, m, u and n",
  "connect-timeout-ms": "milliseconds of up to 10 digits",
  "x-server-timeout": "seconds, such as 1.5",
};

/** The deadline header of this name is malformed. */
export function malformedTimeout(header: string): RequestError {
  return badRequest("header", header, `expected ${timeoutForms[header] ?? "a timeout"}`);
}

/** The failure that an error stands for. */
export function failureOf(error: ConnectError): Failure {
  return error instanceof RequestError
    ? error.failure
    : { kind: "handler", status: httpStatusOf(error.code), error };
}

/** Hides long and unprintable names from the request, which may be misplaced tokens. */
export function shownName(name: string): string {
  return name.split(".").every((part) => /^[\x21-\x7e]{1,40}$/.test(part)) && name.length <= 128
    ? name
    : "(name not shown)";
}

/** HTTP statuses of RPC codes (google/rpc/code.proto). */
const statuses: Readonly<Record<Code, number>> = {
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};

/** The HTTP status of an RPC code; 500 for a number that is not a code. */
export function httpStatusOf(code: Code): number {
  return statuses[code] ?? 500;
}
