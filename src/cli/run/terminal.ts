import { createInterface } from "node:readline/promises";
import { CommandFailure } from "../output/failure.ts";
import { printable } from "../output/table.ts";

/** Whether standard input and standard error are a terminal. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks for confirmation on the terminal. Throws unless the answer is yes. */
export async function confirm(question: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // The question itself never settles if the input ends.
  const closed = new Promise<string>((resolve) => {
    terminal.once("close", () => resolve(""));
  });
  try {
    const answer = await Promise.race([terminal.question(`${printable(question)} [y/N] `), closed]);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new CommandFailure("not confirmed: nothing was changed");
}

/** Aborted by the first SIGINT or SIGTERM. A second one ends the process as usual. */
export function interruptSignal(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  return interrupted.signal;
}
