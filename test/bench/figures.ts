import { median } from "./median.ts";

/** What one subject did in one round. */
export interface Sample {
  readonly value: number;
  /** Milliseconds that a call took. */
  readonly latency?: { readonly p50: number; readonly p99: number };
  /** Microseconds of CPU that the subject's process spent on a call. */
  readonly cpu?: number | undefined;
  /** Share of a core that the generator of load was busy. */
  readonly busy?: number;
}

/** All that was measured of one subject. */
export interface Figure {
  readonly name: string;
  readonly unit: "calls/s" | "ms" | "MB";
  /** One for each round, in their order. */
  readonly samples: readonly Sample[];
}

/** Something that is measured. */
export interface Subject {
  readonly name: string;
  readonly unit: Figure["unit"];
  run(): Promise<Sample>;
}

/** A figure beside its yardstick. */
export interface Comparison {
  readonly what: string;
  readonly figure: Figure;
  readonly yardstick: Figure;
  readonly aim?: Aim | undefined;
}

/** What a ratio is to reach. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number };

/** What came of a scenario. */
export interface Result {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly comparisons: readonly Comparison[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

/** How many rounds there are at least, where the bench is late. */
const fewestRounds = 3;

/**
 * Measures all subjects in every round, beginning with another one each time: what disturbs the machine disturbs all alike.
 * Where there are several, one
 * goes before, in which everything gets warm; it does not count. Where the bench is late there are fewer.
 */
export async function measure(
  { extent, late }: { readonly extent: { readonly rounds: number }; readonly late: () => boolean },
  subjects: readonly Subject[],
): Promise<readonly Figure[]> {
  const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
  if (extent.rounds > 1) for (const subject of subjects) await subject.run();
  for (let round = 0; round < extent.rounds && !(round >= fewestRounds && late()); round++) {
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

/** The median over the rounds. */
export function valueOf({ samples }: Figure): number {
  return median(samples.map(({ value }) => value));
}

/** The median over the rounds of the ratio within each. */
export function ratioOf({ figure, yardstick }: Comparison): number {
  return median(figure.samples.map(({ value }, round) => value / (yardstick.samples[round]?.value ?? NaN)));
}

/** The same of the CPU time that a call took, in the two processes alone; undefined where it is not known. */
export function cpuRatioOf({ figure, yardstick }: Comparison): number | undefined {
  const ratios = figure.samples.flatMap(({ cpu }, round) => {
    const other = yardstick.samples[round]?.cpu;
    return cpu === undefined || other === undefined ? [] : [other / cpu];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

/** Whether the ratio is what it was to be. */
export function isReached(comparison: Comparison): boolean | undefined {
  const { aim } = comparison;
  if (aim === undefined) return undefined;
  const ratio = ratioOf(comparison);
  return "atLeast" in aim ? ratio >= aim.atLeast : ratio <= aim.atMost;
}

/** The figure of that name; throws where there is none. */
export function figureOf(figures: readonly Figure[], name: string): Figure {
  const figure = figures.find((figure) => figure.name === name);
  if (figure === undefined) throw new Error(`nothing was measured as "${name}"`);
  return figure;
}
