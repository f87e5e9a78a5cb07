import { Code, ConnectError } from "@connectrpc/connect";
import { errorInfoOf } from "../client/error-info.ts";
import { inWords } from "./output/in-words.ts";

/** How the command ends. The README and `--help` say the same. */
export const exitCodes = {
  ok: 0,
  /** Something failed, or a check did. */
  failed: 1,
  /** The command line is wrong, or the service refused a value in it. */
  usage: 2,
  notFound: 3,
  /** The credential is refused, or lacks a permission. */
  refused: 4,
  /** The service or its database does not answer: try again. */
  unavailable: 5,
  /** The reader of standard output went away: 128 and the number of SIGPIPE, as a shell tells it. */
  closedPipe: 141,
} as const;

/** A failure that the command itself finds. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  /** One of {@link exitCodes}. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/** A command line that cannot be meant. */
export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(message, exitCodes.usage);
}

/** A failure as it is told. */
export interface ToldFailure {
  /** The gRPC code of a failed call, such as `NOT_FOUND`; `USAGE`, `UNAVAILABLE` or `FAILED` of what failed here. */
  readonly code: string;
  /** The name of a `session.v1.ErrorReason`; empty where the service did not answer. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly exitCode: number;
}

/** What to tell of an error, and how to end. */
export function toldFailure(error: unknown): ToldFailure {
  const call = error instanceof CommandFailure ? error.cause : error;
  if (call instanceof ConnectError) {
    const info = errorInfoOf(call);
    return {
      code: codeName(call.code),
      reason: info?.reason ?? "",
      message: error instanceof CommandFailure ? error.message : call.rawMessage,
      metadata: { ...info?.metadata },
      exitCode: error instanceof CommandFailure ? error.exitCode : exitCodeOf(call.code),
    };
  }
  const exitCode = error instanceof CommandFailure ? error.exitCode : exitCodes.failed;
  return { code: localCode(exitCode), reason: "", message: inWords(error), metadata: {}, exitCode };
}

/** How the command ends when a call fails with this code. */
export function exitCodeOf(code: Code): number {
  switch (code) {
    case Code.InvalidArgument:
      return exitCodes.usage;
    case Code.NotFound:
      return exitCodes.notFound;
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return exitCodes.refused;
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.ResourceExhausted:
      return exitCodes.unavailable;
    default:
      return exitCodes.failed;
  }
}

/** The name that gRPC and google.rpc.Code give a code. */
function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function localCode(exitCode: number): string {
  if (exitCode === exitCodes.usage) return "USAGE";
  return exitCode === exitCodes.unavailable ? "UNAVAILABLE" : "FAILED";
}
