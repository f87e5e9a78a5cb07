import type { Report } from "./job.ts";

/** Counts outcomes and times of the calls that count: those answered between `begin` and `end`. */
export class Tally {
  readonly #outcomes = new Map<string, number>();
  readonly #latencies: number[] = [];
  #made = 0;
  #counting = false;
  #begun = 0;
  #seconds = 0;
  #cpu: NodeJS.CpuUsage | undefined;
  #busy = 0;

  /** Calls that count so far. */
  get counted(): number {
    return this.#latencies.length;
  }

  /** Calls that have ended, those that do not count too. */
  get made(): number {
    return this.#made;
  }

  /** From now on calls count. */
  begin(): void {
    this.#counting = true;
    this.#begun = performance.now();
    this.#cpu = process.cpuUsage();
  }

  /** From now on they count no more. */
  end(): void {
    if (!this.#counting) return;
    this.#counting = false;
    this.#seconds = (performance.now() - this.#begun) / 1000;
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#busy = (user + system) / 1e6 / this.#seconds;
  }

  /** A call that was begun at `start` (of `performance.now()`) has ended so. What fails counts even after the end. */
  ended(outcome: string, start: number): void {
    this.#made++;
    if (!this.#counting && outcome === "ok") return;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (this.#counting) this.#latencies.push(performance.now() - start);
  }

  /** What was counted. */
  report(): Report {
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
    return {
      calls: sorted.length,
      seconds: this.#seconds,
      perSecond: (this.#outcomes.get("ok") ?? 0) / this.#seconds,
      outcomes: Object.fromEntries(this.#outcomes),
      latency: { p50: at(0.5), p99: at(0.99), max: at(1) },
      busy: this.#busy,
      made: this.#made,
    };
  }
}
