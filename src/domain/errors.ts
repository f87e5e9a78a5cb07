import { Code } from "../../gen/google/rpc/code_pb.ts";
import type { ErrorReason } from "../../gen/session/v1/error_reason_pb.ts";

/** Names of the proto enum's reasons, without UNSPECIFIED. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** A field that is out of its bounds, for google.rpc.BadRequest. */
export interface FieldViolation {
  /** Path of the field in proto names, such as `device.ip_address` or `roles[3]`. */
  readonly field: string;
  /** What is accepted, without repeating the value. */
  readonly description: string;
}

/**
 * The gRPC code and error text of each reason. Variable parts go into the metadata or the violations. Documented APIs have texts
 * of their own in `src/compat`, requests that are not valid HTTP or JSON in `src/rest/errors`. `session/v1/error_reason.proto` documents each reason.
 */
const catalogue: Record<Reason, readonly [code: Code, message: string]> = {
  FIELD_INVALID: [Code.INVALID_ARGUMENT, "a field is missing or out of its bounds"],
  JWT_INVALID: [Code.INVALID_ARGUMENT, "the JWT is not a valid session JWT of this project"],
  CREDENTIAL_MISSING: [Code.UNAUTHENTICATED, "the call carries no credential that this method takes"],
  CREDENTIAL_INVALID: [Code.UNAUTHENTICATED, "the credential is malformed, unknown or disabled"],
  PROJECT_DISABLED: [Code.UNAUTHENTICATED, "the project of this credential is disabled"],
  SESSION_UNKNOWN: [Code.UNAUTHENTICATED, "the credential names no session of this project"],
  SESSION_REVOKED: [Code.UNAUTHENTICATED, "the session was revoked"],
  SESSION_REVOKED_BY_CUTOFF: [
    Code.UNAUTHENTICATED,
    "the session was revoked with all sessions of its member, organization or project",
  ],
  SESSION_EXPIRED: [Code.UNAUTHENTICATED, "the session has expired"],
  SESSION_IDLE_EXPIRED: [Code.UNAUTHENTICATED, "the session was idle for too long"],
  JWT_EXPIRED: [Code.UNAUTHENTICATED, "the session JWT has expired; authenticate with the session token"],
  PERMISSION_MISSING: [Code.PERMISSION_DENIED, "the calling service lacks the permission for this method"],
  CALLER_NOT_ALLOWED: [Code.PERMISSION_DENIED, "this caller may not do this to this target"],
  SESSION_NOT_FOUND: [Code.NOT_FOUND, "no such session"],
  PROJECT_NOT_FOUND: [Code.NOT_FOUND, "no such project"],
  CREDENTIAL_NOT_FOUND: [Code.NOT_FOUND, "no such credential in this project"],
  SIGNING_KEY_NOT_FOUND: [Code.NOT_FOUND, "no such signing key in this project"],
  PROJECT_EXISTS: [Code.ALREADY_EXISTS, "a project of this id exists already"],
  CERTIFICATE_NAME_EXISTS: [Code.ALREADY_EXISTS, "another credential has one of the certificate names"],
  SESSION_NOT_ACTIVE: [Code.FAILED_PRECONDITION, "the session is not active"],
  TOKEN_REPLACED: [Code.FAILED_PRECONDITION, "the session's first token has been replaced"],
  SESSION_IS_CURRENT: [Code.FAILED_PRECONDITION, "cannot revoke current session"],
  PROJECT_NOT_ACTIVE: [Code.FAILED_PRECONDITION, "the project is disabled"],
  SESSION_LIMIT_REACHED: [
    Code.FAILED_PRECONDITION,
    "the member has as many active sessions as the project's policy allows",
  ],
  REVISION_OUT_OF_RANGE: [
    Code.OUT_OF_RANGE,
    "the log of revocations does not reach this position; start with a snapshot",
  ],
  HISTORY_CHANGED: [
    Code.OUT_OF_RANGE,
    "the position is not one of this log, as after a restore of the database; start with a snapshot",
  ],
  WATCHER_TOO_SLOW: [Code.ABORTED, "the watcher read too slowly; resume after the last position it has"],
  DATABASE_UNAVAILABLE: [Code.UNAVAILABLE, "the database does not answer; try again"],
  INTERNAL: [Code.INTERNAL, "internal error"],
  RATE_LIMITED: [Code.RESOURCE_EXHAUSTED, "too many requests; try again later"],
  OVERLOADED: [Code.UNAVAILABLE, "too many calls wait for the database; try again"],
  DEADLINE_EXCEEDED: [Code.DEADLINE_EXCEEDED, "the deadline passed"],
};

/** Default retry delays, in milliseconds. */
const retryDelays: Partial<Record<Reason, number>> = { DATABASE_UNAVAILABLE: 1000, OVERLOADED: 1000 };

/** Most violations that an error names. gRPC sends them in headers, of which clients accept 8 KiB. */
const maxViolations = 10;

/** A failure that callers see. `cause` is only logged. */
export class SessiondError extends Error {
  override readonly name = "SessiondError";
  readonly reason: Reason;
  readonly code: Code;
  /** Variable parts, with the keys that the reason's comment in the proto lists. */
  readonly metadata: Readonly<Record<string, string>>;
  /** For FIELD_INVALID: the fields that are wrong, or the first of many. */
  readonly violations: readonly FieldViolation[];
  /** When to retry, in milliseconds; undefined if that would not help. */
  readonly retryDelay: number | undefined;

  constructor(
    reason: Reason,
    detail: {
      metadata?: Readonly<Record<string, string>>;
      violations?: readonly FieldViolation[];
      retryDelay?: number;
      cause?: unknown;
    } = {},
  ) {
    const [code, message] = catalogue[reason];
    const { violations: all = [] } = detail;
    const violations = all.slice(0, maxViolations);
    const where = violations.map((v) => `${v.field}: ${v.description}`);
    if (all.length > violations.length) where.push(`and ${all.length - violations.length} more`);
    super(where.length === 0 ? message : where.join("; "), { cause: detail.cause });
    this.reason = reason;
    this.code = code;
    this.metadata = detail.metadata ?? {};
    this.violations = violations;
    this.retryDelay = detail.retryDelay ?? retryDelays[reason];
  }
}
