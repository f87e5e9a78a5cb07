import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";

/** The part of a request that could not be read. */
export type Place = "path" | "query" | "body" | "header";

/** The kinds of failures; a closed set, so that a dialect can switch over it. */
export type FailureKind =
  | { readonly kind: "path_not_found" }
  | { readonly kind: "method_not_allowed"; readonly allow: readonly string[] }
  | { readonly kind: "unsupported_media_type" }
  | { readonly kind: "body_too_large"; readonly limitBytes: number }
  /** `field` is the field path, query parameter or header at fault, if there is one. */
  | { readonly kind: "bad_request"; readonly place: Place; readonly field: string | undefined }
  /** The request gate, an interceptor or the implementation threw, or the deadline passed. */
  | { readonly kind: "handler" };

/** A failed request: the RPC error and the HTTP status, which a dialect may replace. */
export type Failure = FailureKind & { readonly status: number; readonly error: ConnectError };

/** Thrown inside the transcoder to end a request with a failure of its own. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

/** No template matches the path. */
export function pathNotFound(): Failure {
  return { kind: "path_not_found", status: 404, error: new ConnectError("no such path", Code.NotFound) };
}

/** The path is known with other methods only. */
export function methodNotAllowed(allow: readonly string[]): Failure {
  const error = new ConnectError(`method not allowed here, only ${allow.join(", ")}`, Code.Unimplemented);
  return { kind: "method_not_allowed", status: 405, allow, error };
}

/** The body has a content type or a content encoding that is not served; `headers` may say which are. */
export function unsupportedMediaType(reason: string, headers: Record<string, string> = {}): Refusal {
  const error = new ConnectError(reason, Code.InvalidArgument, headers);
  return new Refusal({ kind: "unsupported_media_type", status: 415, error });
}

/** The body, as sent or inflated, is larger than the limit. */
export function bodyTooLarge(limitBytes: number): Refusal {
  const error = new ConnectError(`the body is larger than ${limitBytes} bytes`, Code.ResourceExhausted);
  return new Refusal({ kind: "body_too_large", status: 413, limitBytes, error });
}

/**
 * Something in the request cannot be read. `reason` must not repeat a value of the request, which may be a secret;
 * names of fields and parameters are fine.
 */
export function badRequest(place: Place, field: string | undefined, reason: string): Refusal {
  const details =
    field === undefined
      ? []
      : [{ desc: BadRequestSchema, value: { fieldViolations: [{ field, description: reason }] } }];
  const where = field === undefined ? place : `${place}, "${field}"`;
  const error = new ConnectError(`${where}: ${reason}`, Code.InvalidArgument, undefined, details);
  return new Refusal({ kind: "bad_request", status: 400, place, field, error });
}

/**
 * The failure of anything thrown while a call ran. An exception that is no ConnectError is INTERNAL without its text,
 * unless the call had been aborted: then the reason of the abort (deadline, shutdown, disconnect) is what happened.
 */
export function failureOf(reason: unknown, signal: AbortSignal | undefined): Failure {
  if (reason instanceof Refusal) return reason.failure;
  const error = connectErrorOf(reason, signal);
  return { kind: "handler", status: httpStatusOf(error.code), error };
}

function connectErrorOf(reason: unknown, signal: AbortSignal | undefined): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (signal?.aborted === true) {
    const cause: unknown = signal.reason;
    return cause instanceof ConnectError ? cause : new ConnectError("the call was aborted", Code.Canceled);
  }
  return new ConnectError("internal error", Code.Internal, undefined, undefined, reason);
}

/** A name from the request as an error may show it. A longer or unprintable one may be a token in the wrong place. */
export function shownName(name: string): string {
  return name.split(".").every((part) => /^[\x21-\x7e]{1,40}$/.test(part)) && name.length <= 128
    ? name
    : "(name not shown)";
}

/** HTTP statuses of RPC codes, as google/rpc/code.proto documents them. */
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

/** The HTTP status of an RPC code; 500 for a number that is not a code, which JavaScript can put into a ConnectError. */
export function httpStatusOf(code: Code): number {
  return statuses[code] ?? 500;
}
