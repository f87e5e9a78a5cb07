import { rmSync } from "node:fs";
import { chmod, mkdtemp, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunAs, command, run } from "../../../../src/embedded-postgres/run-as.ts";
import { giveTo } from "../../../../src/embedded-postgres/directory.ts";

/** A temporary directory, and the user that runs the programs of a trial: most of them refuse to run as root. */
export interface Place {
  readonly directory: string;
  readonly runAs: RunAs;
}

/** The unprivileged user and group of Linux. */
const nobody = { uid: 65534, gid: 65534 };

/** Makes a directory that the user may enter. The stack removes it. */
export async function makePlace(started: AsyncDisposableStack): Promise<Place> {
  const runAs: RunAs = process.geteuid?.() === 0 ? { kind: "user", ...nobody } : { kind: "self" };
  const directory = await realpath(await mkdtemp(join(tmpdir(), "sessiond-infrastructure-")));
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  process.on("exit", remove);
  started.defer(() => {
    process.off("exit", remove);
    remove();
  });
  await chmod(directory, 0o711);
  await giveTo(runAs, directory);
  return { directory, runAs };
}

/** Runs a program to its end. Throws with its output if it fails. */
export async function runProgram(place: Place, program: string, args: readonly string[]): Promise<string> {
  const { file, args: all, options } = command(place.runAs, program, args);
  const { status, output } = await run(file, all, { ...options, cwd: place.directory });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}: ${output}`);
  return output;
}
