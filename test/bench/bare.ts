import { once } from "node:events";
import { type Bench, databaseUrl } from "./bench.ts";
import { cpuTime } from "./cpu-time.ts";
import { keepMortal } from "./data/mortal.ts";
import type { StoredProject } from "./data/stored-project.ts";
import type { Subject } from "./figures.ts";
import type { Report } from "./load/job.ts";
import { cores } from "./pin.ts";
import type { BenchProcess } from "./processes.ts";
import type { BareJob, BareKind } from "./servers/bare-statements.ts";

/** Starts a process that makes bare statements on a database, where a server would be. */
export async function startBare(bench: Bench, stored: StoredProject): Promise<BenchProcess> {
  const bare = bench.processes.start("servers/bare-statements.ts", {
    environment: { DATABASE_URL: databaseUrl(bench, stored.database), PROJECT_TAG: stored.tag },
    core: cores.server,
  });
  await answerOf(bare);
  return bare;
}

/** One statement a call, 128 in flight on 10 connections, as `pgbench` would. */
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
      const { seconds, warmUpSeconds } = bench.extent;
      if (kind !== "authenticate") await keepMortal(bench, stored);
      const range = kind === "authenticate" ? stored.recent : stored.mortal;
      const { first, count, used } = range;
      const before = cpuTime(bare.pid);
      bare.process.send({ kind, first, count, skip: used, seconds, warmUpSeconds } satisfies BareJob);
      const report = await answerOf(bare);
      const after = cpuTime(bare.pid);
      range.use(report.made);
      const cpu = before === undefined || after === undefined ? undefined : (after - before) / report.made;
      return { value: report.perSecond, latency: report.latency, cpu };
    },
  };
}

async function answerOf(bare: BenchProcess): Promise<Report> {
  const over = bare.ended.then(() => []);
  const [message]: Report[] = await Promise.race([once(bare.process, "message"), over]);
  if (message === undefined) throw new Error(`the bare statements ended: ${bare.complaint()}`);
  return message;
}
