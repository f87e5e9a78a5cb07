import { type ConfigResult, readConfig } from "../../server/config/config.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("configuration");

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
