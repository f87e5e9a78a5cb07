import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DatabaseConfig } from "../../server/config/config.ts";
import { errorText } from "../output/failure.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, fail, skip } = findingsOf("data-directory");

/** Whether other users have no access to the directory of the embedded PostgreSQL and to the secrets in it. */
export async function checkDataDirectory({ databaseUrl, dataDirectory }: DatabaseConfig): Promise<Finding[]> {
  if (databaseUrl !== undefined) return [skip("DATABASE_URL is set: no data is stored here")];
  const directory = resolve(dataDirectory);
  try {
    const status = await stat(directory).catch(() => undefined);
    if (status === undefined) return [ok(`${directory} does not exist yet: \`sessiond serve\` creates it`)];
    if (!status.isDirectory()) {
      return [fail(`${directory} is not a directory`, "set SESSIOND_DATA_DIR to a directory")];
    }
    const open = await openToOthers([directory, ...(await filesIn(directory))]);
    if (open.length === 0) return [ok(`${directory} is closed to other users`)];
    return open.map((path) => fail(`${path} is open to other users`, `chmod go= ${path}`));
  } catch (error) {
    return [
      fail(`${directory} cannot be read: ${errorText(error)}`, "run this as the user who runs the service"),
    ];
  }
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => join(directory, name));
}

/** The paths that other users may read or write. */
async function openToOthers(paths: readonly string[]): Promise<string[]> {
  const statuses = await Promise.all(paths.map((path) => stat(path)));
  return paths.filter((_, i) => ((statuses[i]?.mode ?? 0) & 0o077) !== 0);
}
