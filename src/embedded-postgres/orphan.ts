import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/**
 * Ends the postmaster that a killed server left running on a data directory, if there is one, as gently as it
 * lets us: what it has committed stays. Call only while holding the directory's lock.
 *
 * Returns the pid in the directory's postmaster.pid where that is no such postmaster, but none or an unrelated
 * process that got the same pid: PostgreSQL must be told to disregard it.
 * Throws when the postmaster does not end.
 */
export async function endLeftover(
  dataDirectory: string,
  log: (line: string) => void,
): Promise<number | undefined> {
  const claim = await readClaim(dataDirectory);
  if (claim === undefined) return undefined;
  if (!(await isPostmaster(claim))) return claim.pid;
  log(`ending the postmaster (pid ${claim.pid}) that a killed server left behind`);
  // Fast, immediate, and at last by force; each loses no more than a crash would, which is nothing.
  for (const [signal, milliseconds] of [
    ["SIGINT", 30_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 5_000],
  ] as const) {
    signalIfThere(claim.pid, signal);
    for (let waited = 0; waited < milliseconds; waited += 20) {
      if (!(await isPostmaster(claim))) return claim.pid;
      await delay(20);
    }
  }
  throw new Error(`The postmaster (pid ${claim.pid}) left behind on ${dataDirectory} does not end.`);
}

interface Claim {
  readonly pid: number;
  /** As the postmaster was given it; it may have been moved since. */
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

async function isPostmaster(claim: Claim): Promise<boolean> {
  const line = await commandLine(claim.pid);
  const [program, ...rest] = line;
  return (
    program !== undefined &&
    basename(program) === "postgres" &&
    rest.join(" ").startsWith(`-D ${claim.dataDirectory} `)
  );
}

/** A process's command and arguments; none if there is no such process or it is a zombie. */
async function commandLine(pid: number): Promise<string[]> {
  if (process.platform === "linux") {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return text === "" ? [] : text.split("\0");
  }
  const { stdout } = await promisify(execFile)("ps", ["-o", "args=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  const [program, rest] = stdout.trim().split(/ (-D .*)/s);
  return program === undefined || rest === undefined ? [] : [program, rest];
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}
