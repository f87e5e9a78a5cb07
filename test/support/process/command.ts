import { spawn } from "node:child_process";

/** How a command ended. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command. */
interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is ended, and its status is null: 20 seconds unless told. */
  readonly timeout?: number;
}

/** Runs a command to its end. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.environment ?? process.env,
      timeout: options.timeout ?? 20_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const text = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
    child.once("error", reject).once("close", (status) => resolve({ status, ...text }));
    child.stdin.on("error", () => undefined).end(options.input ?? "");
  });
}
