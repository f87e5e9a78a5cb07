import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./binaries.ts";
import { hasPostmaster } from "./orphan.ts";
import { giveTo, names, pathsWithPrefix, renameDurably, writePrivateFile } from "./directory.ts";
import { type RunAs, command, run } from "./run-as.ts";

/** The only user of the database. */
export const userName = "sessiond";

export interface Cluster {
  readonly dataDirectory: string;
  readonly password: string;
}

export interface ClusterSettings {
  /** Private to sessiond, and locked by the caller. */
  readonly directory: string;
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  /** False omits fsync; for tests only. */
  readonly durable: boolean;
}

/**
 * Opens the cluster in a directory; creates it on first use. It is created under a temporary name and then renamed, so that a
 * crash leaves only temporary files, which the next call removes.
 */
export async function openCluster(settings: ClusterSettings): Promise<Cluster> {
  const dataDirectory = join(settings.directory, names.data);
  const passwordFile = join(settings.directory, names.password);
  const unfinished = `${names.data}.new-`;
  await discard(settings.directory, unfinished);
  if (existsSync(join(dataDirectory, "PG_VERSION"))) {
    return { dataDirectory, password: await readPassword(passwordFile) };
  }
  if (!existsSync(passwordFile)) {
    await writePrivateFile(passwordFile, randomBytes(32).toString("base64url"));
  }
  const password = await readPassword(passwordFile);
  // A new name each time, because an initdb of a killed server may still be writing to the old one.
  const created = await initialise(
    join(settings.directory, unfinished + randomBytes(6).toString("hex")),
    password,
    settings,
  );
  await renameDurably(created, dataDirectory);
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

/** Ignores files that cannot be removed: they do no harm, and the next start tries again. */
async function discard(directory: string, prefix: string): Promise<void> {
  for (const path of await pathsWithPrefix(directory, prefix)) {
    await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function readPassword(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new Error(`The password file ${file} of the embedded PostgreSQL cannot be read. Restore it.`, {
      cause,
    });
  });
}

/** Whether a directory holds an embedded PostgreSQL, running or not. */
export function hasCluster(directory: string): boolean {
  return existsSync(join(directory, names.data));
}

/**
 * URL of the PostgreSQL that another process runs in a directory, from the files there. Undefined if they describe none that is
 * ready. They may be left over from a killed server, so only a connection shows that it answers.
 */
export async function embeddedPostgresUrl(directory: string): Promise<string | undefined> {
  const read = (...path: string[]) => readFile(join(directory, ...path), "utf8").catch(() => "");
  // Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
  const lines = (await read(names.data, "postmaster.pid")).split("\n");
  const [port, status] = [lines[3] ?? "", lines[7] ?? ""];
  const password = await read(names.password);
  if (!/^\d+$/.test(port) || status.trim() !== "ready" || password === "") return undefined;
  if (!(await hasPostmaster(join(directory, names.data)))) return undefined;
  return urlOf(Number(port), password);
}

/** States everything that PGSSLMODE, PGOPTIONS and other variables of the shell would add. */
export function urlOf(port: number, password: string): string {
  return `postgres://${userName}:${password}@127.0.0.1:${port}/postgres?sslmode=disable&options=%20&client_encoding=UTF8`;
}
