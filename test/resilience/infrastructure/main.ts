// `npm run test:infrastructure [trial…] [-- --against <checkout>]`: trials on poolers, failovers and restores. See test/README.md.
import { parseArgs } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { installPackages, missingPackages } from "./packages.ts";
import { makePlace } from "./systems/place.ts";
import type { InfrastructureTrial } from "./trial.ts";
import { haproxy } from "./trials/haproxy.ts";
import { patroni } from "./trials/patroni.ts";
import { pgbouncer } from "./trials/pgbouncer.ts";
import { projects } from "./trials/projects.ts";
import { roles } from "./trials/roles.ts";
import { skew } from "./trials/skew.ts";
import { standbySwitch } from "./trials/standby-switch.ts";
import { twelveReplicas } from "./trials/twelve-replicas.ts";
import { restore } from "./trials/restore.ts";

const trials: readonly InfrastructureTrial[] = [
  pgbouncer,
  standbySwitch,
  restore,
  patroni,
  haproxy,
  roles,
  twelveReplicas,
  skew,
  projects,
];

const { values, positionals } = parseArgs({
  options: { against: { type: "string" } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => trials.every((trial) => trial.name !== name));
if (unknown.length > 0) {
  console.error(`no trial ${unknown.join(", ")}; there are ${trials.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
// Child processes end with this one.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
process.setMaxListeners(100);

let violationCount = 0;
const summary: string[] = [];

async function runTrial(trial: InfrastructureTrial): Promise<void> {
  console.log(`\n# ${trial.name}: ${trial.shows}`);
  const problem = await preparePackages(trial);
  if (problem !== undefined) {
    console.log(`SKIPPED: ${trial.name}: ${problem}`);
    summary.push(`${trial.name}: skipped: ${problem}`);
    return;
  }
  let found = 0;
  const began = Date.now();
  await using started = new AsyncDisposableStack();
  const place = await makePlace(started);
  const work = trial.run({
    place,
    started,
    against: values.against,
    say: (line) => console.log(`  ${((Date.now() - began) / 1000).toFixed(1)} s ${line}`),
    report(part, seen, violations) {
      console.log(`## ${part}`);
      console.log(seen);
      for (const violation of violations.slice(0, 10)) console.log(`VIOLATION: ${violation}`);
      console.log(`${violations.length} violations`);
      found += violations.length;
    },
  });
  const late = delay(trial.minutes * 60_000, "late" as const, { ref: false });
  try {
    if ((await Promise.race([work, late])) === "late") {
      throw new Error(`the trial did not end within ${trial.minutes} minutes`);
    }
  } catch (error) {
    console.log("VIOLATION: the trial failed:", error);
    found++;
  }
  violationCount += found;
  summary.push(`${trial.name}: ${found} violations, ${Math.round((Date.now() - began) / 1000)} s`);
}

/** Returns why the trial cannot run. */
async function preparePackages({ packages }: InfrastructureTrial): Promise<string | undefined> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return undefined;
  const problem = await installPackages(missing);
  return problem && `missing Debian packages: ${missing.join(", ")}; ${problem}`;
}

for (const trial of trials) {
  if (positionals.length === 0 || positionals.includes(trial.name)) await runTrial(trial);
}
console.log(`\n${summary.join("\n")}`);
process.exit(violationCount > 0 ? 1 : 0);
