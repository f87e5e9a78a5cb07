// `npm run bench`: measures sessiond beside what others would use or build it on. See README.md.
import { rmSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startEmbeddedPostgres } from "../../src/embedded-postgres/supervisor.ts";
import { against } from "./against.ts";
import { type Bench, extents } from "./bench.ts";
import { type Result, isReached, ratioOf } from "./figures.ts";
import { hasH2load } from "./load/h2load.ts";
import { Load } from "./load/load.ts";
import { binding, cores, machine, machineLoad, pin } from "./machine.ts";
import { Processes } from "./processes.ts";
import { authenticate } from "./scenarios/authenticate.ts";
import { list } from "./scenarios/list.ts";
import { loneCaller } from "./scenarios/lone-caller.ts";
import { memory } from "./scenarios/memory.ts";
import { noOp } from "./scenarios/no-op.ts";
import { revokeAll } from "./scenarios/revoke-all.ts";
import { revoke } from "./scenarios/revoke.ts";
import { sizes } from "./scenarios/sizes.ts";
import { workers } from "./scenarios/workers.ts";
import { Stage } from "./stage.ts";
import { show } from "./table.ts";

interface Scenario {
  readonly run: (bench: Bench, stage: Stage) => Promise<Result>;
  /** When it should end, as a share of the time limit. */
  readonly until: number;
}

const all: Readonly<Record<string, Scenario>> = {
  "no-op": { run: noOp, until: 0.13 },
  revoke: { run: revoke, until: 0.34 },
  authenticate: { run: authenticate, until: 0.46 },
  "revoke-all": { run: revokeAll, until: 0.49 },
  list: { run: list, until: 0.53 },
  "lone-caller": { run: loneCaller, until: 0.58 },
  workers: { run: workers, until: 0.61 },
  memory: { run: memory, until: 0.72 },
  sizes: { run: sizes, until: 1 },
};

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    only: { type: "string" },
    against: { type: "string" },
    rounds: { type: "string" },
    json: { type: "string" },
  },
});
const base = values.quick ? extents.quick : values.full ? extents.full : extents.normal;
const extent = { ...base, ...(values.rounds !== undefined && { rounds: Number(values.rounds) }) };
const other = values.against;
const scenarios: typeof all =
  other === undefined ? all : { against: { run: (bench) => against(bench, other), until: Infinity } };
const names = values.only?.split(",") ?? Object.keys(scenarios);
const unknown = names.filter((name) => !(name in scenarios));
if (unknown.length > 0) {
  throw new Error(`no scenario ${unknown.join(", ")}; there are ${Object.keys(scenarios).join(", ")}`);
}

const say = (line: string) => process.stderr.write(`${line}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
const begun = performance.now();
const directory = await mkdtemp(join(tmpdir(), "sessiond-bench-"));
// It may contain gigabytes.
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const processes = new Processes(directory);
const postgres = await startEmbeddedPostgres({ directory: join(directory, "postgres"), maxConnections: 200 });
const pidFile = await readFile(join(directory, "postgres", "pgdata", "postmaster.pid"), "utf8");
// The kernel would run it where the servers are, because they wake it.
pin(Number(pidFile.split("\n")[0]), cores.load);
const results: Result[] = [];
try {
  if (!hasH2load) {
    say("SKIPPED: all rows of equal calls: h2load (Debian package nghttp2-client) is not installed");
  }
  if (extent.name === "quick") say("quick: figures are too rough to judge by");
  const load = await Load.start(processes, directory);
  const elapsed = () => (performance.now() - begun) / 1000;
  const bench: Bench = { extent, processes, load, postgres, directory, elapsed, late: () => false, say };
  const stage = new Stage(bench);
  console.log(
    `# Bench of sessiond, ${extent.name}\n\n${machine()}; ${binding}; sessiond in its default configuration`,
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
      `${name}: ${((performance.now() - start) / 1000).toFixed(0)} s, load average ${machineLoad().toFixed(1)}`,
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
  machine: `${machine()}; ${binding}`,
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
