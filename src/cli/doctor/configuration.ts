import { type ConfigResult, readConfig } from "../../server/config/config.ts";
import { minNodeVersion, nodeProblem } from "../../transport/node-version.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("configuration");

/** Whether this Node.js is supported. */
export function checkNode(): Finding {
  const { ok, fail } = findingsOf("node");
  const { node } = process.versions;
  const problem = nodeProblem(node);
  return problem === undefined
    ? ok(`Node.js ${node} is supported (${minNodeVersion} or newer)`)
    : fail(problem, `install Node.js ${minNodeVersion} or newer`);
}

/** Whether `serve` would take this environment. */
export function checkConfiguration(environment: NodeJS.ProcessEnv): {
  readonly read: ConfigResult;
  readonly findings: readonly Finding[];
} {
  const read = readConfig(environment);
  const set = "set the environment variable as the README says";
  if ("problems" in read) return { read, findings: read.problems.map((problem) => fail(problem, set)) };
  const warnings = read.warnings.map((warning) => warn(warning, "correct its name, or remove it"));
  return { read, findings: warnings.length > 0 ? warnings : [ok("the environment is in order")] };
}
