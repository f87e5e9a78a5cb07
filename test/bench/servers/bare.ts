import { type Bench, urlOf } from "../bench.ts";
import { type StoredProject, keepMortal } from "../data/stored-project.ts";
import type { Subject } from "../figures.ts";
import type { Report } from "../load/job.ts";
import { cores, cpuTime } from "../machine.ts";
import type { BenchProcess } from "../processes.ts";
import type { BareJob, BareKind } from "./bare-statements.ts";

/** Starts a process that runs bare statements on a database, in place of a server. */
export async function startBare(bench: Bench, stored: StoredProject): Promise<BenchProcess> {
  const bare = bench.processes.start("servers/bare-statements.ts", {
    environment: { DATABASE_URL: urlOf(bench, stored.database), PROJECT_TAG: stored.tag },
    core: cores.server,
  });
  await bare.next();
  return bare;
}

/** One statement per call, 128 concurrent calls on 10 connections, as `pgbench` would. */
export function bareSubject(
  bench: Bench,
  bare: BenchProcess,
  name: string,
  kind: BareKind,
  stored: StoredProject,
): Subject {
  return {
    name,
    unit: "calls/s",
    async run() {
      const { seconds } = bench.extent;
      if (kind !== "authenticate") await keepMortal(bench, stored);
      const range = kind === "authenticate" ? stored.recent : stored.mortal;
      const { first, count, used } = range;
      const before = cpuTime(bare.pid);
      bare.process.send({ kind, first, count, skip: used, seconds } satisfies BareJob);
      const { perSecond, latency, made } = await bare.next<Report>();
      const after = cpuTime(bare.pid);
      range.use(made);
      const cpu = before === undefined || after === undefined ? undefined : (after - before) / made;
      return { value: perSecond, latency, cpu };
    },
  };
}
