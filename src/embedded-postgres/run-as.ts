import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Binaries } from "./binaries.ts";
import { run } from "./run.ts";

/**
 * As whom the programs of PostgreSQL run; they refuse to run as root.
 *
 * - `self`: as this process, an ordinary user.
 * - `user`: this process is root and gives up everything.
 * - `setpriv`: likewise, but that user could not reach the programs or the data, since a folder above them is
 *   closed to them (a clone under /root, or in what `mktemp -d` made). One capability, by which permissions of
 *   folders do not bind it, bridges that.
 */
export type RunAs =
  | { readonly kind: "self" }
  | { readonly kind: "user"; readonly uid: number; readonly gid: number }
  | { readonly kind: "setpriv"; readonly uid: number; readonly gid: number; readonly capability: Capability };

/** "nobody" on every Linux, whether or not /etc/passwd names it. */
const nobody = 65534;

/**
 * The lesser capability where it suffices. It does not where the programs themselves are closed (a clone made
 * under umask 077), and containers often have only the greater one.
 */
const capabilities = ["dac_read_search", "dac_override"] as const;

type Capability = (typeof capabilities)[number];

/** A program, ready for `spawn`. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: { readonly uid?: number; readonly gid?: number; readonly env: NodeJS.ProcessEnv };
}

/** How to start a program of PostgreSQL. It sees nothing of this process's environment but PATH. */
export function command(as: RunAs, program: string, args: readonly string[]): Command {
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
  if (as.kind === "setpriv") {
    return { file: "setpriv", args: [...setprivArguments(as), program, ...args], options: { env } };
  }
  const identity = as.kind === "user" ? { uid: as.uid, gid: as.gid } : {};
  return { file: program, args, options: { env, ...identity } };
}

function setprivArguments(as: { uid: number; gid: number; capability: Capability }): string[] {
  const only = `-all,+${as.capability}`;
  return [
    `--reuid=${as.uid}`,
    `--regid=${as.gid}`,
    "--clear-groups",
    `--bounding-set=${only}`,
    `--inh-caps=${only}`,
    `--ambient-caps=${only}`,
    // Otherwise access(2), by which PostgreSQL looks for its own programs, ignores the capability.
    "--securebits=+no_setuid_fixup",
  ];
}

/**
 * Decides as whom to run. As root that is the directory's owner where that is not root itself, so that a
 * directory keeps its owner whoever starts the server, and else nobody.
 * Throws when nobody could reach the programs or the directory and there is no bridge.
 */
export async function chooseRunAs(directory: string, binaries: Binaries): Promise<RunAs> {
  if (process.geteuid?.() !== 0) return { kind: "self" };
  const status = await stat(directory);
  const owner = status.uid === 0 ? { uid: nobody, gid: nobody } : { uid: status.uid, gid: status.gid };
  const needed = [
    binaries.postgres,
    binaries.initdb,
    join(binaries.root, "lib"),
    join(binaries.root, "share"),
  ];
  const closed = await firstClosed([...needed, dirname(directory)], owner);
  if (closed === undefined) return { kind: "user", ...owner };
  return bridge(owner, binaries, closed);
}

async function bridge(
  owner: { uid: number; gid: number },
  binaries: Binaries,
  closed: string,
): Promise<RunAs> {
  const said: string[] = [];
  for (const capability of capabilities) {
    const as: RunAs = { kind: "setpriv", ...owner, capability };
    // Shows settings only, but first looks for the other programs, as it does in earnest.
    const { file, args, options } = command(as, binaries.initdb, ["--show", "--pgdata=/nowhere"]);
    const { status, output } = await run(file, args, options);
    if (status === 0) return as;
    said.push(output);
  }
  throw new Error(
    `PostgreSQL does not run as root, and the user ${owner.uid} as whom it would run instead may not enter ${closed}. ` +
      "Start sessiond as an ordinary user, open that folder (chmod o+x), install setpriv (of util-linux), " +
      "or set DATABASE_URL to a PostgreSQL server of your own.",
    { cause: new Error(said.join("\n")) },
  );
}

/** The first of these paths, or of the folders above them, that a user may not enter or execute. */
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
