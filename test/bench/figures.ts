import type { Busy } from "./machine.ts";

/** One subject in one round. */
export interface Sample {
  readonly value: number;
  /** In milliseconds. */
  readonly latency?: { readonly p50: number; readonly p99: number };
  /** CPU time of the subject's process per call, in microseconds. */
  readonly cpu?: number | undefined;
  readonly busy?: Busy | undefined;
}

/** All samples of one subject. */
export interface Figure {
  readonly name: string;
  readonly unit: "calls/s" | "ms" | "MB";
  readonly samples: readonly Sample[];
}

export interface Subject {
  readonly name: string;
  readonly unit: Figure["unit"];
  /** Why it cannot be measured here. */
  readonly skipped?: string;
  run(): Promise<Sample>;
}

/** A figure and the one it is compared with. */
export interface Comparison {
  readonly what: string;
  readonly figure: Figure;
  readonly yardstick: Figure;
  readonly aim?: Aim | undefined;
}

export type Aim = { readonly atLeast: number } | { readonly atMost: number };

export interface Result {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly comparisons: readonly Comparison[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

/** Least number of rounds, even if the bench is late. */
const minRounds = 3;

/**
 * Measures all subjects in every round, each round beginning with another subject, so that what disturbs the machine disturbs
 * all alike. With several rounds, one more precedes them as a warm-up. A late bench makes fewer rounds. Skipped subjects have
 * no figure.
 */
export async function measure(
  bench: {
    readonly extent: { readonly rounds: number };
    readonly late: () => boolean;
    readonly say: (line: string) => void;
  },
  all: readonly Subject[],
): Promise<readonly Figure[]> {
  const { extent, late, say } = bench;
  for (const { name, skipped } of all) if (skipped !== undefined) say(`SKIPPED: ${name}: ${skipped}`);
  const subjects = all.filter(({ skipped }) => skipped === undefined);
  const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
  if (extent.rounds > 1) for (const subject of subjects) await subject.run();
  for (let round = 0; round < extent.rounds && !(round >= minRounds && late()); round++) {
    const from = round % subjects.length;
    for (const subject of [...subjects.slice(from), ...subjects.slice(0, from)]) {
      samples.get(subject)?.push(await subject.run());
    }
  }
  return subjects.map((subject) => ({
    name: subject.name,
    unit: subject.unit,
    samples: samples.get(subject) ?? [],
  }));
}

export function valueOf({ samples }: Figure): number {
  return median(samples.map(({ value }) => value));
}

/** Median over the rounds of the ratio within each round. */
export function ratioOf({ figure, yardstick }: Comparison): number {
  return median(figure.samples.map(({ value }, round) => value / (yardstick.samples[round]?.value ?? NaN)));
}

/** Median ratio of CPU time per call: above 1, the figure takes less. Undefined if unknown. */
export function cpuRatioOf({ figure, yardstick }: Comparison): number | undefined {
  const ratios = figure.samples.flatMap(({ cpu }, round) => {
    const other = yardstick.samples[round]?.cpu;
    return cpu === undefined || other === undefined ? [] : [other / cpu];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

export function isReached(comparison: Comparison): boolean | undefined {
  const { aim } = comparison;
  if (aim === undefined) return undefined;
  const ratio = ratioOf(comparison);
  return "atLeast" in aim ? ratio >= aim.atLeast : ratio <= aim.atMost;
}

/** Compares two figures by name. Returns nothing if one of them was skipped. */
export function compare(
  figures: readonly Figure[],
  options: {
    readonly what: string;
    readonly figure: string;
    readonly yardstick: string;
    readonly aim?: Aim | undefined;
  },
): Comparison[] {
  const find = (name: string) => figures.find((figure) => figure.name === name);
  const { what, aim } = options;
  const [figure, yardstick] = [find(options.figure), find(options.yardstick)];
  return figure === undefined || yardstick === undefined ? [] : [{ what, figure, yardstick, aim }];
}

export function ratiosOf(
  figures: readonly Figure[],
  method: string,
): (figure: string, yardstick: string, atLeast?: number) => Comparison[] {
  return (figure, yardstick, atLeast) => {
    const aim = atLeast === undefined ? undefined : { atLeast };
    return compare(figures, { what: `${method}: ${figure} / ${yardstick}`, figure, yardstick, aim });
  };
}

/** Middle value, or the mean of the two in the middle. NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const below = sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN;
  const above = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return (below + above) / 2;
}
