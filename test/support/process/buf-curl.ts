import { resolve } from "node:path";
import { type Outcome, runCommand } from "./command.ts";

/** Runs `buf curl`; a path without a scheme is relative to nothing, so give whole URLs. */
export function bufCurl(...args: readonly string[]): Promise<Outcome> {
  return runCommand(resolve("node_modules/.bin/buf"), ["curl", ...args]);
}
