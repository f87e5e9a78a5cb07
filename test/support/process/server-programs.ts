import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished } from "vitest";

/**
 * Folder of PostgreSQL's programs with pg_dump and pg_basebackup, which the embedded binaries lack. Where it is missing this is
 * undefined, a line on the console says so, and tests skip.
 */
export const serverPrograms = findPrograms();

function findPrograms(): string | undefined {
  const found = globSync("/usr/lib/postgresql/*/bin/pg_basebackup").toSorted();
  const newest = found.at(-1);
  if (newest !== undefined) return dirname(newest);
  console.warn("SKIPPED: tests of backups need pg_dump and pg_basebackup (Debian's package postgresql)");
  return undefined;
}

/** Ids of the unprivileged user of Linux: PostgreSQL does not run as root. */
const unprivileged = { uid: 65534, gid: 65534 };

/** A folder in which scripts run as the user of a PostgreSQL server. */
export interface ServerFolder {
  readonly path: string;
  /** Runs a script of bash with the programs of PostgreSQL, as the server's user. Returns its output. */
  run(script: string, environment?: Readonly<Record<string, string>>): Promise<string>;
}

/** Makes the folder, and removes it after the test. */
export async function serverFolder(programs: string): Promise<ServerFolder> {
  const path = await mkdtemp(join(tmpdir(), "sessiond-backup-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) await chown(path, unprivileged.uid, unprivileged.gid);
  const user = isRoot ? unprivileged : {};
  const run = (script: string, environment = {}) => {
    const env = { PATH: [programs, process.env["PATH"]].join(delimiter), LC_ALL: "C", ...environment };
    return bash(script, { cwd: path, env, ...user });
  };
  return { path, run };
}

/** Runs a script of bash that ends at the first failure, and returns its output. */
export async function bash(
  script: string,
  options: {
    readonly cwd: string;
    readonly env: NodeJS.ProcessEnv;
    readonly uid?: number;
    readonly gid?: number;
  },
): Promise<string> {
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((done) => {
    child.once("exit", done);
  });
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  expect({ code, errors: code === 0 ? "" : errors }).toEqual({ code: 0, errors: "" });
  return output;
}
