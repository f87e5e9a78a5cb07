import { spawn } from "node:child_process";
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { names } from "./directory.ts";

/** Without following links: if PostgreSQL runs as another user, that user could place a link for root to write through. */
const openFlags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** Held until it is released or the process ends. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Locks a directory against other processes. Throws at once if another process has the lock.
 *
 * This is a kernel lock on an open file. Unlike a pid file it cannot become stale, a reused pid does not matter, and it works
 * between containers that share a volume. The pid in the file is for the error message only.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, names.lock);
  // A plain descriptor, because a FileHandle is closed by the garbage collector, which would release the lock.
  const descriptor = process.platform === "darwin" ? openLocked(path) : await openThenLock(path);
  if (descriptor === "held") {
    throw new Error(
      `The directory ${directory} is in use by another sessiond (${holder(path)}): ` +
        "stop that one first, or give this one a directory of its own.",
    );
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`, 0);
  return {
    release() {
      ftruncateSync(descriptor);
      closeSync(descriptor);
    },
  };
}

/** macOS locks at open. Node has no constant for the flag; the value is from <sys/fcntl.h>. */
function openLocked(path: string): number | "held" {
  const exclusiveLock = 0x20;
  try {
    return openSync(path, openFlags | constants.O_NONBLOCK | exclusiveLock, 0o600);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return "held";
    throw error;
  }
}

async function openThenLock(path: string): Promise<number | "held"> {
  const descriptor = openSync(path, openFlags, 0o600);
  let isLocked = false;
  try {
    isLocked = await lockDescriptor(descriptor);
    return isLocked ? descriptor : "held";
  } finally {
    if (!isLocked) closeSync(descriptor);
  }
}

/**
 * Node has no flock(2), so the flock command locks the open file that it inherits. The file is shared with this process, so the
 * lock outlives the command and ends with this process.
 */
async function lockDescriptor(descriptor: number): Promise<boolean> {
  const command = spawn("flock", ["-n", "3"], { stdio: ["ignore", "ignore", "pipe", descriptor] });
  let output = "";
  command.stderr?.setEncoding("utf8").on("data", (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve, reject) => {
    command.once("error", reject);
    command.once("close", resolve);
  }).catch((cause: unknown) => {
    throw new Error(
      'The embedded PostgreSQL needs the command "flock" (of util-linux) to lock its directory. ' +
        "Install it, or set DATABASE_URL to your own PostgreSQL server.",
      { cause },
    );
  });
  if (status === 0 || status === 1) return status === 0;
  throw new Error(`The file system cannot lock files: flock answered ${status}: ${output.trim()}`);
}

function holder(path: string): string {
  const pid = readFileSync(path, "utf8").trim();
  return pid === "" ? "which is just starting" : `pid ${pid}`;
}
