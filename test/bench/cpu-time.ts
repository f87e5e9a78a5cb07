import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc, on every Linux that Node runs on. */
const ticks = 100;

/** Microseconds of CPU that a process has used so far, to a hundredth of a second; undefined where there is no /proc. */
export function cpuTime(pid: number): number | undefined {
  try {
    // The second field is the command in parentheses, which may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
    return ((Number(fields[11]) + Number(fields[12])) / ticks) * 1e6;
  } catch {
    return undefined;
  }
}
