import { type Config, readConfig } from "../../server/config/config.ts";
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

/** Whether `serve` accepts this environment. `config` is undefined if it does not. */
export function checkConfiguration(environment: NodeJS.ProcessEnv): {
  readonly config?: Config;
  readonly findings: readonly Finding[];
} {
  const read = readConfig(environment);
  const set = "set the environment variable as the README says";
  if ("problems" in read) return { findings: read.problems.map((problem) => fail(problem, set)) };
  const warnings = read.warnings.map((warning) => warn(warning, "correct its name, or remove it"));
  const findings = warnings.length > 0 ? warnings : [ok("the environment is valid")];
  return { config: read.config, findings };
}
