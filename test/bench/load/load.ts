import { busySince, coreTimes, cores, cpuTime } from "../machine.ts";
import type { Sample, Subject } from "../figures.ts";
import type { BenchProcess, Processes } from "../processes.ts";
import { hasH2load, runH2load } from "./h2load.ts";
import type { Job, Report } from "./job.ts";
import { selfCheck } from "./self-check.ts";

/** Runs jobs: equal calls with h2load, varying ones in the process of driver.ts. */
export class Load {
  readonly #process: BenchProcess;
  readonly #directory: string;

  private constructor(process: BenchProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
  }

  static async start(processes: Processes, directory: string): Promise<Load> {
    const driver = processes.start("load/driver.ts", { core: cores.load });
    await driver.next();
    return new Load(driver, directory);
  }

  /** Does one job at a time. Rejects if it cannot be done or a call does not succeed. */
  async run(job: Job): Promise<Report> {
    if (job.vary === undefined) return runH2load(job, await selfCheck(job), this.#directory);
    this.#process.process.send(job);
    const answer = await this.#process.next<{ report: Report } | { failure: string }>();
    if ("failure" in answer) throw new Error(`${job.url}${job.path}: ${answer.failure}`);
    const { ok = 0, ...failures } = answer.report.outcomes;
    if (ok === 0 || Object.keys(failures).length > 0) {
      throw new Error(`${job.url}${job.path}: ${JSON.stringify(answer.report.outcomes)}`);
    }
    return answer.report;
  }
}

export interface LoadSubjectOptions {
  readonly name: string;
  /** Process whose CPU time is measured. */
  readonly pid?: number;
  /** A job of equal calls, or a function that makes the job of each round. */
  readonly job: Job | (() => Job | Promise<Job>);
  /** Receives the number of calls that were made. */
  readonly made?: (calls: number) => void;
  /** "ms": the median latency instead of calls per second. */
  readonly unit?: "ms";
}

export function loadSubject(load: Load, { name, pid, job, made, unit }: LoadSubjectOptions): Subject {
  return {
    name,
    unit: unit ?? "calls/s",
    ...(typeof job === "object" && !hasH2load ? { skipped: "h2load is not installed" } : {}),
    async run(): Promise<Sample> {
      const next = typeof job === "object" ? job : await job();
      const before = { cpu: pid === undefined ? undefined : cpuTime(pid), cores: coreTimes() };
      const report = await load.run(next);
      const after = pid === undefined ? undefined : cpuTime(pid);
      made?.(report.made);
      const { perSecond, latency, made: calls } = report;
      return {
        value: unit === "ms" ? latency.p50 : perSecond,
        latency,
        cpu: before.cpu === undefined || after === undefined ? undefined : (after - before.cpu) / calls,
        busy: busySince(before.cores),
      };
    },
  };
}
