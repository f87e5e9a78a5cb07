import { chmod, chown, mkdir, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { lockFileName } from "./lock.ts";
import type { RunAs } from "./run-as.ts";

/**
 * Creates a directory that only its owner may enter, or takes an earlier one into use again, and returns its
 * real path. Throws rather than take over a directory that holds anything else.
 */
export async function openPrivateDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const directory = await realpath(path);
  const entries = await readdir(directory).catch((cause: unknown) => {
    throw new Error(
      `The directory ${directory} cannot be read: it belongs to another user. ` +
        "Start sessiond as the user who started it there before, or choose another directory.",
      { cause },
    );
  });
  if (entries.length > 0 && !entries.includes(lockFileName)) {
    throw new Error(
      `The directory ${directory} holds files that are not sessiond's. Choose an empty or a new directory.`,
    );
  }
  if (((await stat(directory)).mode & 0o777) !== 0o700) await chmod(directory, 0o700);
  return directory;
}

/** Lets the user as whom PostgreSQL runs own a directory or file; does nothing unless this process is root. */
export async function giveTo(as: RunAs, path: string): Promise<void> {
  if (as.kind !== "self") await chown(path, as.uid, as.gid);
}

/** Writes a file that only this process's user may read, wholly or not at all, even if power fails meanwhile. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await renameDurably(unfinished, path);
}

/** Renames, and returns once that would survive a power failure. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  const folder = await open(dirname(to), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The names in a directory that begin so, as paths. */
export async function pathsBeginning(directory: string, prefix: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(directory, name));
}
