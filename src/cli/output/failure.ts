import { Code, ConnectError } from "@connectrpc/connect";
import { errorInfoOf } from "../../client/error-info.ts";

/** Exit statuses. The README and `--help` list the same. */
export const exitCodes = {
  /** Something failed, or a check did. */
  failed: 1,
  /** The command line is wrong, or the service refused a value in it. */
  usage: 2,
  notFound: 3,
  /** The credential is refused, or lacks a permission. */
  refused: 4,
  /** The service or its database does not answer: try again. */
  unavailable: 5,
  /** The reader of standard output went away: 128 + SIGPIPE, as shells report it. */
  closedPipe: 141,
} as const;

/** A failure that the command itself detects. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  /** One of {@link exitCodes}. */
  readonly exitCode: number;

  constructor(message: string, options: { readonly exitCode?: number; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? exitCodes.failed;
  }
}

/** A mistake on the command line. */
export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(message, { exitCode: exitCodes.usage });
}

/**
 * What the command reports of an error. `code` is the gRPC code of a failed call, such as `NOT_FOUND`, or else `USAGE`,
 * `UNAVAILABLE` or `FAILED`; `reason` is a `session.v1.ErrorReason`, or empty if the service did not answer.
 */
export function describeError(error: unknown) {
  const failure = error instanceof CommandFailure ? error : undefined;
  const callError = asSent(failure === undefined ? error : failure.cause);
  if (!(callError instanceof ConnectError)) {
    const exitCode = failure?.exitCode ?? (isClosedPipe(error) ? exitCodes.closedPipe : exitCodes.failed);
    return { code: localCode(exitCode), reason: "", message: errorText(error), metadata: {}, exitCode };
  }
  const { reason = "", metadata = {} } = errorInfoOf(callError) ?? {};
  return {
    code: codeName(callError.code),
    reason,
    message: failure?.message ?? callError.rawMessage,
    metadata,
    exitCode: failure?.exitCode ?? exitCodeOfCall[callError.code] ?? exitCodes.failed,
  };
}

/** The error as the server sent it: the client gives another code to the refusal of its own credential. */
function asSent(error: unknown): unknown {
  return error instanceof ConnectError && error.cause instanceof ConnectError ? error.cause : error;
}

const exitCodeOfCall: Readonly<Partial<Record<Code, number>>> = {
  [Code.InvalidArgument]: exitCodes.usage,
  [Code.NotFound]: exitCodes.notFound,
  [Code.Unauthenticated]: exitCodes.refused,
  [Code.PermissionDenied]: exitCodes.refused,
  [Code.Unavailable]: exitCodes.unavailable,
  [Code.DeadlineExceeded]: exitCodes.unavailable,
  [Code.ResourceExhausted]: exitCodes.unavailable,
};

/** The code's name in gRPC, such as `NOT_FOUND`. */
function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function localCode(exitCode: number): string {
  if (exitCode === exitCodes.usage) return "USAGE";
  return exitCode === exitCodes.unavailable ? "UNAVAILABLE" : "FAILED";
}

/** The messages of an error and of its causes, one per line. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message === "" ? textWithoutMessage(error) : error.message;
  return error.cause === undefined ? message : `${message}\n  because: ${errorText(error.cause)}`;
}

/** If no address of a host can be reached, Node.js throws an AggregateError without a message. */
function textWithoutMessage(error: Error): string {
  return error instanceof AggregateError ? error.errors.map(errorText).join("; ") : error.name;
}

/** Whether a write failed because its reader went away. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE" && "syscall" in error;
}
