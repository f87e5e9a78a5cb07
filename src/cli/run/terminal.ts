import { createInterface } from "node:readline/promises";
import { CommandFailure, usageFailure } from "../output/failure.ts";
import { printable } from "../output/table.ts";

/** The option of every command that asks for confirmation. */
export const yesOption = { "--yes": "do not ask for confirmation; required without a terminal" };

/**
 * Asks for confirmation of what cannot be undone, unless `--yes` is given. Without a terminal it throws, so that a script cannot
 * do by mistake what a person would be asked about. Throws unless the answer is yes.
 */
export async function confirmUnless(
  yes: true | undefined,
  question: string | (() => Promise<string>),
): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usageFailure(
      "this cannot be undone, and there is no terminal to ask on: add --yes; nothing was changed",
    );
  }
  await confirm(typeof question === "string" ? question : await question());
}

async function confirm(question: string): Promise<void> {
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
