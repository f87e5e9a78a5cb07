import { Code, ConnectError } from "@connectrpc/connect";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { type Reason, SessiondError } from "../domain/errors.ts";
import { type Outcomes, toConnectError } from "../transport/pipeline.ts";
import { type CallRecord, callRecordKey } from "./call-record.ts";

/** The `domain` of every google.rpc.ErrorInfo. */
export const errorDomain = "sessiond";

/** Repeats the reason of ErrorInfo for clients that cannot decode it: a header, and in gRPC a trailer. */
export const reasonHeader = "sessiond-error-reason";

/** Records outcomes for the log and makes the errors for callers. Exceptions become INTERNAL without their text. */
export const callOutcomes: Outcomes = {
  succeeded(values) {
    values.get(callRecordKey).code ??= "Ok";
  },
  failed(error, values) {
    const shown = error instanceof SessiondError ? fromSessiondError(error) : toConnectError(error);
    const reason = addErrorInfo(shown);
    if (reason !== undefined) shown.metadata.set(reasonHeader, reason);
    const record = values.get(callRecordKey);
    // Only the first failure counts: the others follow from it.
    if (record.code === undefined || record.code === "Ok") {
      record.code = Code[shown.code];
      record.reason = reason;
      record.fault = faultIn(error);
    }
    return shown;
  },
};

/** The part of a failure that is logged as an error. A SessiondError is expected, unless an unexpected error caused it. */
function faultIn(error: unknown): CallRecord["fault"] {
  if (error instanceof ConnectError) return undefined;
  if (!(error instanceof SessiondError)) return error;
  return error.cause instanceof SessiondError ? undefined : error.cause;
}

/** Reasons of errors that the transport and Connect make without one. */
const reasons: Partial<Record<Code, Reason>> = {
  [Code.InvalidArgument]: "FIELD_INVALID",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.Internal]: "INTERNAL",
};

/** Adds ErrorInfo to an error that has none; returns the reason. */
function addErrorInfo(error: ConnectError): string | undefined {
  for (const detail of error.details) {
    if ("desc" in detail && detail.desc === ErrorInfoSchema) {
      return "reason" in detail.value ? String(detail.value.reason) : undefined;
    }
  }
  const reason = reasons[error.code];
  if (reason !== undefined) {
    error.details.unshift({ desc: ErrorInfoSchema, value: { reason, domain: errorDomain } });
  }
  return reason;
}

/** Makes the error for callers, with google.rpc details. */
export function fromSessiondError(error: SessiondError): ConnectError {
  // google.rpc.Code and Connect's Code have the same numbers.
  const shown = new ConnectError(error.message, error.code as Code, undefined, undefined, error);
  const info = { reason: error.reason, domain: errorDomain, metadata: error.metadata };
  shown.details.push({ desc: ErrorInfoSchema, value: info });
  if (error.violations.length > 0) {
    shown.details.push({
      desc: BadRequestSchema,
      value: { fieldViolations: error.violations.map((v) => ({ ...v })) },
    });
  }
  if (error.retryDelay !== undefined) {
    shown.details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(error.retryDelay) } });
    // For clients that do not know google.rpc.
    shown.metadata.set("retry-after", String(Math.ceil(error.retryDelay / 1000)));
  }
  return shown;
}

/** The SessiondError from which {@link callOutcomes} made an error, if any. */
export function sessiondErrorOf(error: ConnectError): SessiondError | undefined {
  return error.cause instanceof SessiondError ? error.cause : undefined;
}
