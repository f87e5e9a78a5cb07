import { chmod, chown, mkdir, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { RunAs } from "./run-as.ts";

/** Names in the directory. Any one of them identifies it as sessiond's. */
export const names = { lock: "lock", data: "pgdata", password: "postgres.password" } as const;

/**
 * Creates a directory that only its owner may enter, or reuses an existing one, and returns its real path. Throws if the
 * directory holds other files.
 */
export async function openPrivateDirectory(path: string): Promise<string> {
  const directory = await makeDirectory(path);
  const { uid, mode } = await stat(directory);
  const user = process.geteuid?.();
  if (user !== 0 && user !== uid) {
    throw new Error(
      `The directory ${directory} belongs to another user (${uid}). ` +
        "Start sessiond as that user, or choose another directory.",
    );
  }
  const entries = await readdir(directory);
  if (entries.length > 0 && !Object.values(names).some((name) => entries.includes(name))) {
    throw new Error(
      `The directory ${directory} holds files that are not sessiond's. Choose an empty or a new directory.`,
    );
  }
  if ((mode & 0o777) !== 0o700) await chmod(directory, 0o700);
  return directory;
}

async function makeDirectory(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return await realpath(path);
  } catch (cause) {
    const name = resolve(path);
    throw new Error(`The directory ${name} for the embedded PostgreSQL cannot be created or entered.`, {
      cause,
    });
  }
}

/** Makes the user that runs PostgreSQL the owner of a file or directory. Does nothing unless this process is root. */
export async function giveTo(as: RunAs, path: string): Promise<void> {
  if (as.kind !== "self") await chown(path, as.uid, as.gid);
}

/** Writes a file that only this user may read, atomically and durably. */
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

/** Renames; resolves once the change survives a power failure. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  const folder = await open(dirname(to), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Paths of the entries whose names start with `prefix`. */
export async function pathsWithPrefix(directory: string, prefix: string): Promise<string[]> {
  const entries = await readdir(directory);
  return entries.filter((name) => name.startsWith(prefix)).map((name) => join(directory, name));
}
