import { type SpawnOptionsWithoutStdio, spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Binaries } from "./binaries.ts";

/**
 * The user that runs the programs of PostgreSQL, which refuse to run as root.
 *
 * - `self`: the user of this process.
 * - `user`: another user, because this process is root.
 * - `setpriv`: likewise, with one capability that overrides the permissions of folders, because the user may not enter a folder
 *   above the programs or the data (a clone under /root, or a folder made by `mktemp -d`).
 */
export type RunAs =
  | { readonly kind: "self" }
  | { readonly kind: "user"; readonly uid: number; readonly gid: number }
  | { readonly kind: "setpriv"; readonly uid: number; readonly gid: number; readonly capability: Capability };

/** Ids of the unprivileged user and group of Linux, even if /etc/passwd does not list them. */
const unprivileged = { uid: 65534, gid: 65534 };

/** The first is not enough if the programs themselves are closed (umask 077), and many containers have the second only. */
const capabilities = ["dac_read_search", "dac_override"] as const;

type Capability = (typeof capabilities)[number];

/** Arguments of `spawn`. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: { readonly uid?: number; readonly gid?: number; readonly env: NodeJS.ProcessEnv };
}

/** Builds the command that runs a program of PostgreSQL. Of this process's environment it gets PATH only. */
export function command(as: RunAs, program: string, args: readonly string[]): Command {
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
  if (as.kind === "self") return { file: program, args, options: { env } };
  if (as.kind === "user") return { file: program, args, options: { env, uid: as.uid, gid: as.gid } };
  const only = `-all,+${as.capability}`;
  const setpriv = [
    `--reuid=${as.uid}`,
    `--regid=${as.gid}`,
    "--clear-groups",
    `--bounding-set=${only}`,
    `--inh-caps=${only}`,
    `--ambient-caps=${only}`,
    // Without it access(2), which PostgreSQL calls to find its programs, ignores the capability.
    "--securebits=+no_setuid_fixup",
  ];
  return { file: "setpriv", args: [...setpriv, program, ...args], options: { env } };
}

/**
 * Chooses the user. If this process is root, that is the owner of the directory, so that the owner stays the same, or an
 * unprivileged user if root owns it. Throws if that user cannot get access to the programs and the directory.
 */
export async function chooseRunAs(directory: string, binaries: Binaries): Promise<RunAs> {
  if (process.geteuid?.() !== 0) return { kind: "self" };
  const status = await stat(directory);
  const owner = status.uid === 0 ? unprivileged : { uid: status.uid, gid: status.gid };
  const { root, postgres, initdb } = binaries;
  const needed = [postgres, initdb, join(root, "lib"), join(root, "share"), dirname(directory)];
  const closed = await firstClosed(needed, owner);
  if (closed === undefined) return { kind: "user", ...owner };
  return findCapability(owner, binaries, closed);
}

async function findCapability(
  owner: { uid: number; gid: number },
  binaries: Binaries,
  closed: string,
): Promise<RunAs> {
  const outputs: string[] = [];
  for (const capability of capabilities) {
    const as: RunAs = { kind: "setpriv", ...owner, capability };
    // Only prints settings, but looks for the other programs first, as a real run does.
    const { file, args, options } = command(as, binaries.initdb, ["--show", "--pgdata=/nowhere"]);
    const { status, output } = await run(file, args, options);
    if (status === 0) return as;
    outputs.push(output);
  }
  throw new Error(
    `PostgreSQL does not run as root, and the user ${owner.uid} that it would run as may not enter ${closed}. ` +
      "Start sessiond as an ordinary user, open that folder (chmod o+x), install setpriv (of util-linux), " +
      "or set DATABASE_URL to your own PostgreSQL server.",
    { cause: new Error(outputs.join("\n")) },
  );
}

/** Finds the first of these paths, or of the folders above them, that a user may not enter or execute. */
async function firstClosed(
  paths: readonly string[],
  user: { uid: number; gid: number },
): Promise<string | undefined> {
  const chain = new Set(paths.flatMap((path) => [...ancestors(path).toReversed(), path]));
  for (const path of chain) {
    const { uid, gid, mode } = await stat(path);
    const bits = uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode;
    if ((bits & 1) === 0) return path;
  }
  return undefined;
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...ancestors(parent)];
}

/** Exit status, null if a signal ended the program, and what it wrote to both outputs. */
export interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a program to its end, for at most two minutes. If it cannot be started, the output is the reason. */
export function run(
  file: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio,
): Promise<Outcome> {
  const child = spawn(file, args, { timeout: 120_000, ...options });
  let output = "";
  child.stdin.end();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ status: null, output: error.message }));
    child.once("close", (status) => resolve({ status, output: output.trim() }));
  });
}
