import { Code, ConnectError } from "@connectrpc/connect";
import { type Reason, SessiondError } from "../../domain/errors.ts";
import type { Environment } from "../../domain/project.ts";
import type { ErrorAnswer, FailedRequest } from "../../rest/dialect.ts";
import type { Failure } from "../../rest/errors/failure.ts";
import { type CallRecord, callRecordKey } from "../../rpc/call-record.ts";
import { sessiondErrorOf } from "../../rpc/connect-errors.ts";
import { type DocumentedDialect, withheldHeaders } from "../api.ts";

/** Differences from the documented installation. */
export interface StytchOptions {
  /** Base of `error_url`; documented: `https://stytch.com/docs/api/errors/`. */
  readonly errorUrlBase: string;
  /** Contact in messages of internal errors; documented: `support@stytch.com`. */
  readonly supportAddress: string;
}

/** An invalid argument with Stytch's error type. */
export class ArgumentError extends ConnectError {
  readonly errorType: string;

  constructor(errorType: string, message: string) {
    super(message, Code.InvalidArgument);
    this.errorType = errorType;
  }
}

/** The dialect of the Stytch APIs under these path prefixes. */
export function stytchDialect(prefixes: readonly string[], options: StytchOptions): DocumentedDialect {
  return {
    prefixes,
    write: { useProtoFieldName: true },
    withheldHeaders,
    challenge: 'Basic realm="sessiond"',
    writeError: (failure, request) => writeError(failure, request, options),
  };
}

/** `request-id-<environment>-<uuid>`, fresh for every call; `test` until the project is known. */
export function stytchRequestId(
  { identity, uuid }: CallRecord,
  environment: Environment = identity?.caller.project.environment ?? "test",
): string {
  return `request-id-${environment}-${uuid}`;
}

interface StytchError {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

function writeError(failure: Failure, { contextValues }: FailedRequest, options: StytchOptions): ErrorAnswer {
  const { status, type, message } = stytchErrorOf(failure, options);
  const json = {
    status_code: status,
    request_id: stytchRequestId(contextValues.get(callRecordKey)),
    error_type: type,
    error_message: message,
    error_url: `${options.errorUrlBase}${status}`,
  };
  return { status, body: { json } };
}

/** Error types of failures outside of handlers. */
const types: Record<Exclude<Failure["kind"], "handler">, string> = {
  path_not_found: "route_not_found",
  method_not_allowed: "method_not_allowed",
  unsupported_media_type: "unsupported_media_type",
  body_too_large: "request_too_large",
  bad_request: "bad_request",
};

function stytchErrorOf({ kind, status, error }: Failure, options: StytchOptions): StytchError {
  if (kind === "handler") return handlerError(status, error, options);
  return { status, type: types[kind], message: error.rawMessage };
}

function handlerError(status: number, error: ConnectError, { supportAddress }: StytchOptions): StytchError {
  const message = error.rawMessage;
  if (status >= 500) {
    const help = `please reach out to ${supportAddress} to let us know what went wrong.`;
    const wrong = `Oops, something seems to have gone wrong, ${help}`;
    return { status: 500, type: "internal_server_error", message: wrong };
  }
  // `instanceof` of ConnectError looks at members only, also for subclasses.
  if ("errorType" in error) return { status, type: String(error.errorType), message };
  if (status === 429) {
    return { status, type: "too_many_requests", message: "Too many requests have been made." };
  }
  const cause = sessiondErrorOf(error);
  return (cause && documentedError(cause)) ?? { status, type: "bad_request", message };
}

const unauthorized: StytchError = {
  status: 401,
  type: "unauthorized_credentials",
  message: "Unauthorized credentials.",
};
const notAllowed: StytchError = {
  status: 403,
  type: "session_authorization_error",
  message: "The member session may not revoke this session.",
};
const notFound = { type: "session_not_found", message: "Session could not be found." };
const ended: StytchError = { status: 401, ...notFound };

const documented: Partial<Record<Reason, StytchError>> = {
  CREDENTIAL_MISSING: unauthorized,
  CREDENTIAL_INVALID: unauthorized,
  PROJECT_DISABLED: unauthorized,
  SESSION_UNKNOWN: ended,
  SESSION_REVOKED: ended,
  SESSION_REVOKED_BY_CUTOFF: ended,
  SESSION_EXPIRED: ended,
  SESSION_IDLE_EXPIRED: ended,
  JWT_EXPIRED: ended,
  PROJECT_NOT_FOUND: { status: 404, type: "project_not_found", message: "Project could not be found." },
  SESSION_NOT_FOUND: { status: 404, ...notFound },
  CALLER_NOT_ALLOWED: notAllowed,
  PERMISSION_MISSING: {
    status: 403,
    type: "insufficient_permissions",
    message: "These credentials lack the permission sessions.revoke.",
  },
};

function documentedError(error: SessiondError): StytchError | undefined {
  if (error.reason === "JWT_INVALID") return jwtError(error.metadata["problem"]);
  const { cause } = error;
  const isForeign = cause instanceof SessiondError && cause.reason === "CALLER_NOT_ALLOWED";
  return isForeign ? notAllowed : documented[error.reason];
}

function jwtError(problem: string | undefined): StytchError {
  const refusal = (type: string, message: string) => ({ status: 400, type, message });
  switch (problem) {
    case "issuer":
      return refusal("jwt_invalid_issuer", "session_jwt was issued by somebody else.");
    case "audience":
      return refusal("jwt_invalid_audience", "session_jwt is meant for another project.");
    default:
      return refusal("unable_to_parse_session_jwt", "session_jwt is not a JWT that this project signed.");
  }
}
