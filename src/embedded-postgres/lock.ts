import { spawn } from "node:child_process";
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { names } from "./directory.ts";

/** Follows no link: with PostgreSQL under another user, that user could lay one for root to write through. */
const openFlags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** Held until released, or until the process ends in whatever way: the kernel lets go of it. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Locks a directory against other processes, without waiting.
 *
 * The lock is the kernel's, on an open file: unlike a file with a pid in it, it cannot go stale, cannot be
 * mistaken for that of an unrelated process with a reused pid, and holds between containers that share a
 * volume. The pid in the file only serves the error message.
 *
 * Throws, naming the directory and the holder's pid, when another process has it.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, names.lock);
  // A plain descriptor: a FileHandle would be closed, and the lock lost, once nobody refers to it.
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

/** macOS locks while opening. Node does not name the flag; the value is that of <sys/fcntl.h>. */
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
  let locked = false;
  try {
    locked = await lockDescriptor(descriptor);
  } finally {
    if (!locked) closeSync(descriptor);
  }
  return locked ? descriptor : "held";
}

/**
 * Node has no flock(2). The flock command locks the open file that it inherits, and as that is this process's
 * own, the lock outlives the command and ends with this process.
 */
async function lockDescriptor(descriptor: number): Promise<boolean> {
  const command = spawn("flock", ["-n", "3"], { stdio: ["ignore", "ignore", "pipe", descriptor] });
  let complaint = "";
  command.stderr?.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const status = await new Promise<number | null>((resolve, reject) => {
    command.once("error", reject);
    command.once("close", resolve);
  }).catch((cause: unknown) => {
    throw new Error(
      'The embedded PostgreSQL needs the command "flock" (of util-linux) to lock its directory. ' +
        "Install it, or set DATABASE_URL to a PostgreSQL server of your own.",
      { cause },
    );
  });
  if (status === 0) return true;
  if (status === 1) return false;
  throw new Error(`The file system cannot lock files: flock answered ${status}: ${complaint.trim()}`);
}

function holder(path: string): string {
  const pid = readFileSync(path, "utf8").trim();
  return pid === "" ? "which is just starting" : `pid ${pid}`;
}
