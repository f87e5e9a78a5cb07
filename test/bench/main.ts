// `npm run bench`: measures this service beside what others would use or build it on. Its options are below.
import { rmSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startEmbeddedPostgres } from "../../src/embedded-postgres/supervisor.ts";
import type { Bench } from "./bench.ts";
import { extents } from "./extents.ts";
import { type Result, isReached, ratioOf } from "./figures.ts";
import { LoadProcess } from "./load-process.ts";
import { machine, machineLoad } from "./machine.ts";
import { cores, pin } from "./pin.ts";
import { Processes } from "./processes.ts";
import { scenarios } from "./scenarios.ts";
import { Stage } from "./stage.ts";
import { show } from "./table.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false }, // in a minute, with too little of everything: whether it works
    full: { type: "boolean", default: false }, // with ten million sessions, and longer than ten minutes
    only: { type: "string" }, // names of scenarios, separated by commas
    json: { type: "string" }, // where to write the figures; by default into the folder for temporary files
  },
});
const extent = values.quick ? extents.quick : values.full ? extents.full : extents.normal;
const names = values.only?.split(",") ?? Object.keys(scenarios);
const unknown = names.filter((name) => !(name in scenarios));
if (unknown.length > 0) {
  throw new Error(`no scenario ${unknown.join(", ")}; there are ${Object.keys(scenarios).join(", ")}`);
}

const say = (line: string) => process.stderr.write(`${line}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
const begun = performance.now();
const directory = await mkdtemp(join(tmpdir(), "sessiond-bench-"));
// However it ends: there may be gigabytes in it.
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const processes = new Processes(directory);
const postgres = await startEmbeddedPostgres({ directory: join(directory, "postgres"), maxConnections: 200 });
const [postmaster] = (await readFile(join(directory, "postgres", "pgdata", "postmaster.pid"), "utf8")).split(
  "\n",
);
// Away from the servers: left to itself it runs where they are, because they wake it, and is waited for in their place.
pin(Number(postmaster), cores.load);
const results: Result[] = [];
try {
  if (extent.name === "quick") say("quick: too little of everything to judge by");
  const load = await LoadProcess.start(processes);
  const elapsed = () => (performance.now() - begun) / 1000;
  const bench: Bench = { extent, processes, load, postgres, directory, elapsed, late: () => false, say };
  const stage = new Stage(bench);
  console.log(
    `# Bench of sessiond, ${extent.name}\n\n${machine()}; sessiond in its default configuration, its log in a file`,
  );
  for (const name of names) {
    const start = performance.now();
    const scenario = scenarios[name];
    if (scenario === undefined) continue;
    const late = () => elapsed() > extent.secondsInAll * scenario.until;
    const result = await scenario.run({ ...bench, late }, stage);
    results.push(result);
    console.log(show(result));
    say(
      `${name}: ${((performance.now() - start) / 1000).toFixed(0)} s, load of the machine ${machineLoad().toFixed(1)}`,
    );
    processes.emptyLogs();
  }
} finally {
  await processes.stop();
  await postgres.stop();
}

const file = values.json ?? join(tmpdir(), `sessiond-bench-${Date.now()}.json`);
const report = {
  extent,
  machine: machine(),
  scenarios: results.map((result) => ({
    ...result,
    comparisons: result.comparisons.map((comparison) => ({
      what: comparison.what,
      figure: comparison.figure.name,
      yardstick: comparison.yardstick.name,
      ratio: ratioOf(comparison),
      aim: comparison.aim,
      reached: isReached(comparison),
    })),
  })),
};
await writeFile(file, JSON.stringify(report, null, 2));
console.log(`\n${((performance.now() - begun) / 1000).toFixed(0)} seconds; figures in ${file}`);
process.exit(0);
