import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** Where processes run: the server under test on one core, the generator of load and Postgres on another. */
export const cores = { server: 0, load: 1 } as const;

/** Whether processes can be bound to cores here: at least two, and `taskset`. */
export const canPin: boolean =
  availableParallelism() > 1 && spawnSync("taskset", ["--version"]).error === undefined;

/** Binds a process, with all its threads, to a core, where that can be done. */
export function pin(pid: number, core: number): void {
  if (canPin) spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", String(core), String(pid)]);
}
