import type { Report } from "./job.ts";

export class Tally {
  readonly #outcomes = new Map<string, number>();
  readonly #latencies: number[] = [];
  readonly #begun = performance.now();
  #seconds: number | undefined;
  #made = 0;

  get made(): number {
    return this.#made;
  }

  /** Ends the time that counts. Later calls count only if they fail. */
  end(): void {
    this.#seconds ??= (performance.now() - this.#begun) / 1000;
  }

  /** Adds a call that started at `start`, a value of `performance.now()`. */
  add(outcome: string, start: number): void {
    this.#made++;
    if (this.#seconds !== undefined && outcome === "ok") return;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    this.#latencies.push(performance.now() - start);
  }

  report(): Report {
    return {
      perSecond: (this.#outcomes.get("ok") ?? 0) / (this.#seconds ?? NaN),
      outcomes: Object.fromEntries(this.#outcomes),
      latency: percentiles(this.#latencies),
      made: this.#made,
    };
  }
}

/** Median and 99th percentile. */
export function percentiles(values: readonly number[]): Report["latency"] {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
