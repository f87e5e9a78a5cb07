import { type SpawnOptionsWithoutStdio, spawn } from "node:child_process";

/** How a program ended, and what it wrote to both its outputs. `status` is null if a signal ended it. */
export interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

/**
 * Runs a program of PostgreSQL to its end, for at most two minutes. A program that cannot be started is an
 * outcome too: the reason takes the place of its output.
 */
export function run(
  file: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio,
): Promise<Outcome> {
  const child = spawn(file, args, { timeout: 120_000, ...options });
  let output = "";
  child.stdin.end();
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ status: null, output: error.message }));
    child.once("close", (status) => resolve({ status, output: output.trim() }));
  });
}
