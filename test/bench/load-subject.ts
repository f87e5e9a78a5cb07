import { cpuTime } from "./cpu-time.ts";
import type { Sample, Subject } from "./figures.ts";
import type { Job } from "./load/job.ts";
import type { LoadProcess } from "./load-process.ts";

/** A server under load: calls a second. */
export function loadSubject(
  load: LoadProcess,
  options: {
    readonly name: string;
    /** Of the process whose CPU time is told. */
    readonly pid?: number;
    readonly job: () => Job | Promise<Job>;
    /** Told how many calls were made, those of the warm-up too. */
    readonly made?: (calls: number) => void | Promise<void>;
  },
): Subject {
  const { name, pid, job, made } = options;
  const cpu = () => (pid === undefined ? undefined : cpuTime(pid));
  return {
    name,
    unit: "calls/s",
    async run(): Promise<Sample> {
      const next = await job();
      const before = cpu();
      const report = await load.run(next);
      const after = cpu();
      await made?.(report.made);
      const spent = before === undefined || after === undefined ? undefined : (after - before) / report.made;
      const { perSecond, latency, busy } = report;
      return { value: perSecond, latency, busy, cpu: spent };
    },
  };
}
