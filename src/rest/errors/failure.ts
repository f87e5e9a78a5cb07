import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { httpStatusOf } from "./http-status.ts";

/** The part of a request that could not be read. */
export type Place = "path" | "query" | "body" | "header";

/** What went wrong; closed, so that a dialect can switch over it. */
export type FailureKind =
  | { readonly kind: "path_not_found" }
  | { readonly kind: "method_not_allowed"; readonly allow: readonly string[] }
  | { readonly kind: "unsupported_media_type" }
  | { readonly kind: "body_too_large"; readonly limitBytes: number }
  /** `field` is the field path, query parameter or header at fault, where there is one. */
  | { readonly kind: "bad_request"; readonly place: Place; readonly field: string | undefined }
  /** The request gate, an interceptor or the implementation threw, or the deadline passed. */
  | { readonly kind: "handler" };

/** A request that ends in an error answer, in the words of RPC (`error`) and of HTTP (`status`, proposed). */
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
