import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { userName } from "./cluster.ts";
import { names } from "./directory.ts";

/** Whether a directory holds an embedded PostgreSQL, running or not. */
export async function holdsCluster(directory: string): Promise<boolean> {
  return access(join(directory, names.data)).then(
    () => true,
    () => false,
  );
}

/**
 * How to connect to the PostgreSQL that another process runs in a directory, by the files that it keeps there; undefined where
 * they tell of none that is ready. They may be those of one that was killed: only a connection shows.
 */
export async function runningUrl(directory: string): Promise<string | undefined> {
  const read = (...path: string[]) => readFile(join(directory, ...path), "utf8").catch(() => "");
  // Its lines: pid, data directory, start, port, socket directory, address, shared memory, status.
  const lines = (await read(names.data, "postmaster.pid")).split("\n");
  const [port, status] = [lines[3] ?? "", lines[7] ?? ""];
  const password = await read(names.password);
  if (!/^\d+$/.test(port) || status.trim() !== "ready" || password === "") return undefined;
  return `postgres://${userName}:${password}@127.0.0.1:${port}/postgres`;
}
