import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DatabaseConfig } from "../../server/config/config.ts";
import { inWords } from "../output/in-words.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, fail, skip } = findingsOf("data-directory");

/** Whether the directory of the embedded PostgreSQL, and the secrets in it, are closed to others. */
export async function checkDataDirectory({ databaseUrl, dataDirectory }: DatabaseConfig): Promise<Finding[]> {
  if (databaseUrl !== undefined) return [skip("DATABASE_URL is set: nothing is kept here")];
  const directory = resolve(dataDirectory);
  try {
    const status = await stat(directory).catch(() => undefined);
    if (status === undefined) return [ok(`${directory} is not there yet: \`sessiond serve\` makes it`)];
    if (!status.isDirectory()) {
      return [fail(`${directory} is no directory`, "choose another one by SESSIOND_DATA_DIR")];
    }
    const open = [...(isOpen(status) ? [directory] : []), ...(await openFiles(directory))];
    if (open.length === 0) return [ok(`${directory} is closed to other users`)];
    return open.map((path) => fail(`${path} is open to other users`, `chmod go= ${path}`));
  } catch (error) {
    return [
      fail(`${directory} cannot be read: ${inWords(error)}`, "run this as the user who runs the service"),
    ];
  }
}

/** The files in it, which hold secrets, that others may read or write. */
async function openFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => join(directory, name));
  const statuses = await Promise.all(files.map(async (file) => ({ file, status: await stat(file) })));
  return statuses.filter(({ status }) => isOpen(status)).map(({ file }) => file);
}

function isOpen({ mode }: Stats): boolean {
  return (mode & 0o077) !== 0;
}
