import {
  type Comparison,
  type Figure,
  type Result,
  type Sample,
  cpuRatioOf,
  isReached,
  median,
  ratioOf,
  valueOf,
} from "./figures.ts";

/** Formats a result: ratios first, then their figures. */
export function show({ title, figures, comparisons, notes }: Result): string {
  const lines = [
    `\n## ${title}\n`,
    table(["ratio", "", "aim", "", "by CPU of the servers"], comparisons.map(rowOfComparison)),
    "",
    table(
      ["", "median", "rounds", "p50 ms", "p99 ms", "server CPU us/call", "server core, load core"],
      figures.map(rowOfFigure),
    ),
    ...notes.map((note) => `- ${note}`),
  ];
  return lines.join("\n");
}

function rowOfComparison(comparison: Comparison): string[] {
  const { what, aim } = comparison;
  const reached = isReached(comparison);
  return [
    ratioOf(comparison).toFixed(2),
    what,
    aim === undefined ? "" : "atLeast" in aim ? `>= ${aim.atLeast}` : `<= ${aim.atMost}`,
    reached === undefined ? "" : reached ? "reached" : "MISSED",
    cpuRatioOf(comparison)?.toFixed(2) ?? "",
  ];
}

function rowOfFigure(figure: Figure): string[] {
  const { name, unit, samples } = figure;
  const middle = (valueIn: (sample: Sample) => number | undefined, digits: number) => {
    const known = samples.map(valueIn).filter((value) => value !== undefined);
    return known.length === 0 ? "" : median(known).toFixed(digits);
  };
  const [server, load] = [middle(({ busy }) => busy?.server, 2), middle(({ busy }) => busy?.load, 2)];
  return [
    name,
    `${short(valueOf(figure))} ${unit}`,
    samples.map(({ value }) => short(value)).join(" "),
    middle(({ latency }) => latency?.p50, 2),
    middle(({ latency }) => latency?.p99, 2),
    middle(({ cpu }) => cpu, 0),
    // The load, or Postgres, limited the server if its core was full and the server's was not.
    `${server} ${load}${Number(load) > Number(server) ? " (load core fuller)" : ""}`,
  ];
}

/** Three significant digits, or all before the point. */
function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
