import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/**
 * Stops the postmaster that a killed server left running on a data directory, if there is one. No committed data is lost. Call
 * only while holding the directory's lock.
 *
 * Returns the pid in postmaster.pid, so that PostgreSQL can ignore it: its process has ended, or is an unrelated one with the
 * same pid. Throws if the postmaster does not end.
 */
export async function stopOrphanedPostmaster(
  dataDirectory: string,
  log: (line: string) => void,
): Promise<number | undefined> {
  const claim = await readClaim(dataDirectory);
  if (claim === undefined) return undefined;
  if (!(await isPostmaster(claim, dataDirectory))) return claim.pid;
  log(`stopping the postmaster (pid ${claim.pid}) that a killed server left behind`);
  // Fast shutdown, immediate shutdown, then kill. None of them loses more than a crash would, which is nothing.
  for (const [signal, timeoutMs] of [
    ["SIGINT", 30_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 5_000],
  ] as const) {
    signalIfRunning(claim.pid, signal);
    for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 20) {
      if (!(await isPostmaster(claim, dataDirectory))) return claim.pid;
      await delay(20);
    }
  }
  throw new Error(`The postmaster (pid ${claim.pid}) left behind on ${dataDirectory} does not end.`);
}

interface Claim {
  readonly pid: number;
  /** The path that the postmaster was started with. The directory may have been moved or copied since. */
  readonly dataDirectory: string;
}

async function readClaim(dataDirectory: string): Promise<Claim | undefined> {
  const text = await readFile(join(dataDirectory, "postmaster.pid"), "utf8").catch(() => "");
  const [first, second] = text.split("\n");
  const pid = Number(first);
  return Number.isSafeInteger(pid) && pid > 0 && second !== undefined
    ? { pid, dataDirectory: second }
    : undefined;
}

/** Whether a postmaster runs on this very directory. A copy of the directory has the pid of the original's in it. */
export async function hasPostmaster(dataDirectory: string): Promise<boolean> {
  const claim = await readClaim(dataDirectory);
  return claim !== undefined && isPostmaster(claim, dataDirectory);
}

async function isPostmaster(claim: Claim, dataDirectory: string): Promise<boolean> {
  const [program = "", ...rest] = await commandLine(claim.pid);
  if (basename(program) !== "postgres" || !rest.join(" ").startsWith(`-D ${claim.dataDirectory} `)) {
    return false;
  }
  // A postmaster works in its data directory, also after that was moved. Elsewhere than on Linux only the path is known.
  const at = process.platform === "linux" ? `/proc/${claim.pid}/cwd` : claim.dataDirectory;
  const [its, ours] = await Promise.all([identityOf(at), identityOf(dataDirectory)]);
  return its !== undefined && its === ours;
}

/** Device and inode of a directory; undefined if it does not exist or may not be read. */
async function identityOf(directory: string): Promise<string | undefined> {
  const found = await stat(directory, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}/${found.ino}`;
}

/** Command and arguments of a process; empty if there is no such process, or it is a zombie. */
async function commandLine(pid: number): Promise<string[]> {
  if (process.platform === "linux") {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return text === "" ? [] : text.split("\0");
  }
  const ps = promisify(execFile)("ps", ["-o", "args=", "-p", String(pid)]);
  const { stdout } = await ps.catch(() => ({ stdout: "" }));
  const [program, rest] = stdout.trim().split(/ (-D .*)/s);
  return program === undefined || rest === undefined ? [] : [program, rest];
}

function signalIfRunning(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
