import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { canPin } from "./pin.ts";

/** Where the figures come from. */
export function machine(): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const model = cpus()[0]?.model.trim() ?? "unknown CPU";
  const bound = canPin
    ? "servers bound to one core, the generator of load and Postgres to another"
    : "no process bound to a core";
  return `${availableParallelism()} cores (${model}), ${memory}, ${type()} ${release()}, Node ${process.versions.node}; ${bound}`;
}

/** What else the machine was doing: its load over the last minute. */
export function machineLoad(): number {
  return loadavg()[0] ?? NaN;
}
