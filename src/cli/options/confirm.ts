import { createInterface } from "node:readline/promises";
import { CommandFailure } from "../failure.ts";
import { printable } from "../output/printable.ts";

/** Whether there is a person to ask. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks the person at the terminal. Throws where the answer is not yes. */
export async function confirm(question: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // An end of input is no yes; without this the question would stay open for ever.
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
