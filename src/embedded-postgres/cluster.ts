import { randomBytes } from "node:crypto";
import { access, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./binaries.ts";
import { giveTo, names, pathsBeginning, renameDurably, writePrivateFile } from "./directory.ts";
import { type RunAs, command } from "./run-as.ts";
import { run } from "./run.ts";

/** PostgreSQL's only user, made with the cluster. */
export const userName = "sessiond";

/** A set of databases on disk, and the password of its user. */
export interface Cluster {
  readonly dataDirectory: string;
  readonly password: string;
}

/** Where a cluster is made, by whom and how. */
export interface ClusterSettings {
  /** Private to sessiond, and locked. */
  readonly directory: string;
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  /** False spares fsync; for tests only. */
  readonly durable: boolean;
}

/**
 * Opens the cluster in a directory, creating it on first use. It is made under another name and renamed when
 * complete, so that a crash meanwhile leaves nothing but rubbish, which the next call removes.
 */
export async function openCluster(settings: ClusterSettings): Promise<Cluster> {
  const dataDirectory = join(settings.directory, names.data);
  const passwordFile = join(settings.directory, names.password);
  const unfinished = `${names.data}.new-`;
  await discard(settings.directory, unfinished);
  if (await exists(join(dataDirectory, "PG_VERSION"))) {
    return { dataDirectory, password: await readPassword(passwordFile) };
  }
  if (!(await exists(passwordFile))) {
    await writePrivateFile(passwordFile, randomBytes(32).toString("base64url"));
  }
  const password = await readPassword(passwordFile);
  // A new name each time: an initdb that a killed server left behind may still be writing to the old one.
  const made = await initialise(
    join(settings.directory, unfinished + randomBytes(6).toString("hex")),
    password,
    settings,
  );
  await renameDurably(made, dataDirectory);
  return { dataDirectory, password };
}

async function initialise(target: string, password: string, settings: ClusterSettings): Promise<string> {
  const passwordFile = `${target}.password`;
  await writePrivateFile(passwordFile, password);
  await giveTo(settings.runAs, passwordFile);
  const { file, args, options } = command(settings.runAs, settings.binaries.initdb, [
    `--pgdata=${target}`,
    `--username=${userName}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    ...(settings.durable ? [] : ["--no-sync"]),
  ]);
  const { status, output } = await run(file, args, options);
  await rm(passwordFile);
  if (status !== 0) throw new Error(`PostgreSQL could not create its files in ${target}: ${output}`);
  return target;
}

/** Leftovers do no harm, so that one that cannot be removed yet is left for the next start. */
async function discard(directory: string, prefix: string): Promise<void> {
  for (const path of await pathsBeginning(directory, prefix)) {
    await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function readPassword(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new Error(
      `The password file ${file} of the embedded PostgreSQL cannot be read. Put it back as it was beside pgdata.`,
      { cause },
    );
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
