/** A line of Prometheus' text format. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Metrics as they were shown once. */
export class ShownMetrics {
  readonly text: string;
  readonly samples: readonly Sample[];

  constructor(text: string) {
    this.text = text;
    this.samples = text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map(toSample);
  }

  /** The sum over all samples of this name that have these labels; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.samples
      .filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Every value that a label has. */
  valuesOf(label: string): ReadonlySet<string> {
    return new Set(this.samples.flatMap(({ labels }) => labels[label] ?? []));
  }
}

/** Reads the metrics at an address. */
export async function readMetrics(url: string): Promise<ShownMetrics> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`metrics: ${response.status} ${await response.text()}`);
  return new ShownMetrics(await response.text());
}

/** How the pool of connections to the database is used, by the metrics at an address. */
export async function poolUse(url: string): Promise<{ open: number; idle: number; waitedFor: number }> {
  const metrics = await readMetrics(url);
  return {
    open: metrics.sum("sessiond_database_connections"),
    idle: metrics.sum("sessiond_database_connections_idle"),
    waitedFor: metrics.sum("sessiond_database_connections_waited_for"),
  };
}

function toSample(line: string): Sample {
  const [, name = "", labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  const pairs = Array.from(labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, key = "", text = ""]) => [
    key,
    text,
  ]);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}
