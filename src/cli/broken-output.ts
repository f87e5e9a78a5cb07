import { exitCodes } from "./failure.ts";

/**
 * What is written to standard output or error that nobody reads any more, or to a full disk, must not end the process: a service
 * would take its calls with it. Who waits for a write hears of its failure; what nobody waits for, as `--help`, sets the exit status.
 */
export function outliveBrokenOutput(): void {
  process.stdout.on("error", (error) => {
    process.exitCode ??= isClosedPipe(error) ? exitCodes.closedPipe : exitCodes.failed;
  });
  process.stderr.on("error", () => undefined);
}

/** Whether a write failed because its reader went away. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE" && "syscall" in error;
}
