import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Config, type DatabaseConfig, readConfig } from "../../server/config/config.ts";
import { minNodeVersion, nodeProblem } from "../../transport/node-version.ts";
import { errorText } from "../output/failure.ts";
import { type Finding, findingsOf } from "./finding.ts";

/** Whether this Node.js is supported. */
export function checkNode(): Finding {
  const { ok, fail } = findingsOf("node");
  const { node } = process.versions;
  const problem = nodeProblem(node);
  return problem === undefined
    ? ok(`Node.js ${node} is supported (${minNodeVersion} or newer)`)
    : fail(problem, `install Node.js ${minNodeVersion} or newer`);
}

/** Whether `serve` accepts this environment. `config` is undefined if it does not. */
export function checkConfiguration(environment: NodeJS.ProcessEnv): {
  readonly config?: Config;
  readonly findings: readonly Finding[];
} {
  const { ok, warn, fail } = findingsOf("configuration");
  const read = readConfig(environment);
  const set = "set the environment variable as the README says";
  if ("problems" in read) return { findings: read.problems.map((problem) => fail(problem, set)) };
  const warnings = read.warnings.map((warning) => warn(warning, "correct its name, or remove it"));
  const findings = warnings.length > 0 ? warnings : [ok("the environment is valid")];
  return { config: read.config, findings };
}

/** Whether other users have no access to the directory of the embedded PostgreSQL and to the secrets in it. */
export async function checkDataDirectory({ databaseUrl, dataDirectory }: DatabaseConfig): Promise<Finding[]> {
  const { ok, fail, skip } = findingsOf("data-directory");
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
