import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { SessiondError } from "../domain/errors.ts";
import { type CallRecord, callRecordKey } from "./call-record.ts";

/** The `domain` of every google.rpc.ErrorInfo. */
export const errorDomain = "sessiond";

/** Maps failures of the implementation to ConnectErrors, whatever the protocol, and notes the outcome for the log. */
export const errorInterceptor: Interceptor = (next) => async (request) => {
  const record = request.contextValues.get(callRecordKey);
  try {
    const answer = await next(request);
    record.code = "Ok";
    return answer.stream ? { ...answer, message: mappingErrors(answer.message, record) } : answer;
  } catch (error) {
    throw toConnectError(error, record);
  }
};

/** A stream fails while it is read, after the call itself has returned. */
async function* mappingErrors<T>(messages: AsyncIterable<T>, record: CallRecord): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error, record);
  }
}

/** What the caller sees of a failure. What is no SessiondError and no ConnectError is INTERNAL, without its text. */
export function toConnectError(error: unknown, record: CallRecord): ConnectError {
  const failure = error instanceof SessiondError || error instanceof ConnectError ? error : internal(error);
  const shown = failure instanceof ConnectError ? failure : fromSessiondError(failure);
  record.code = Code[shown.code];
  if (failure instanceof SessiondError) {
    record.reason = failure.reason;
    // A cause that is a refusal itself says what the caller must not learn: expected, and not a fault.
    if (!(failure.cause instanceof SessiondError)) record.fault = failure.cause;
  }
  return shown;
}

function internal(error: unknown): SessiondError {
  return new SessiondError("INTERNAL", { cause: error });
}

/** The ConnectError that shows a failure to its caller, with google.rpc details. */
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
    // For clients that know HTTP and not google.rpc: a header of Connect's answers, a trailer of gRPC's.
    shown.metadata.set("retry-after", String(Math.ceil(error.retryDelay / 1000)));
  }
  return shown;
}

/** The failure behind a ConnectError that {@link toConnectError} made; undefined for one of Connect's own. */
export function sessiondErrorOf(error: ConnectError): SessiondError | undefined {
  return error.cause instanceof SessiondError ? error.cause : undefined;
}
