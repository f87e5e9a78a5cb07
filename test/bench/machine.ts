import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

/** Where processes run: servers on one core; load and Postgres on another. */
export const cores = { server: 0, load: 1 } as const;

/** Whether processes can be bound to cores: needs two cores and `taskset`. */
export const canPin: boolean =
  availableParallelism() > 1 && spawnSync("taskset", ["--version"]).error === undefined;

/** Binds all threads of a process to a core, if possible. */
export function pin(pid: number, core: number): void {
  if (canPin) spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", String(core), String(pid)]);
}

/** Clock ticks per second in /proc, on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** CPU time of a process so far in microseconds, in steps of 10 ms. Undefined without /proc. */
export function cpuTime(pid: number): number | undefined {
  try {
    // The second field is the command in parentheses and may contain anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
    return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  } catch {
    return undefined;
  }
}

/** Share of time that the cores of the bench were busy, including other processes. */
export interface Busy {
  readonly server: number;
  readonly load: number;
}

type CoreTimes = readonly { readonly idle: number; readonly all: number }[];

export function coreTimes(): CoreTimes {
  return cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({
    idle,
    all: user + nice + sys + irq + idle,
  }));
}

/** How busy the cores were since `before`. Undefined if processes are not bound to cores. */
export function busySince(before: CoreTimes): Busy | undefined {
  if (!canPin) return undefined;
  const now = coreTimes();
  const share = (core: number) => {
    const [from, to] = [before[core], now[core]];
    return from === undefined || to === undefined ? NaN : 1 - (to.idle - from.idle) / (to.all - from.all);
  };
  return { server: share(cores.server), load: share(cores.load) };
}

export function machine(): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const model = cpus()[0]?.model.trim() ?? "unknown CPU";
  return `${availableParallelism()} cores (${model}), ${memory}, ${type()} ${release()}, Node ${process.versions.node}`;
}

export const binding: string = canPin
  ? "servers on one core, load and Postgres on another"
  : "no process bound to a core";

export function machineLoad(): number {
  return loadavg()[0] ?? NaN;
}
