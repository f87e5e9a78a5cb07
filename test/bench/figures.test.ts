import { expect, test } from "vitest";
import { type Figure, compare, cpuRatioOf, isReached, measure, ratioOf, valueOf } from "./figures.ts";

const figure = (name: string, ...values: readonly number[]): Figure => ({
  name,
  unit: "calls/s",
  samples: values.map((value) => ({ value, cpu: 1000 / value })),
});

test("a ratio is the median of the ratios within the rounds", () => {
  // The second round was ten times slower for both.
  const comparison = { what: "", figure: figure("a", 300, 20, 100), yardstick: figure("b", 100, 10, 100) };
  expect(ratioOf(comparison)).toBe(2);
  expect(cpuRatioOf(comparison)).toBe(2);
  expect(valueOf(comparison.figure)).toBe(100);
});

test.each([
  { atLeast: 2, reached: true },
  { atLeast: 2.1, reached: false },
  { atMost: 2, reached: true },
  { atMost: 1.9, reached: false },
])("$atLeast $atMost: $reached", ({ reached, ...aim }) => {
  const aimed = "atLeast" in aim ? { atLeast: aim.atLeast ?? 0 } : { atMost: aim.atMost ?? 0 };
  const comparison = { what: "", figure: figure("a", 4), yardstick: figure("b", 2), aim: aimed };
  expect(isReached(comparison)).toBe(reached);
});

test("each round begins with another subject, and the warm-up round does not count", async () => {
  const order: string[] = [];
  const subject = (name: string) => ({
    name,
    unit: "ms" as const,
    run: () => {
      order.push(name);
      return Promise.resolve({ value: order.length });
    },
  });
  const bench = { extent: { rounds: 2 }, late: () => true, say: () => undefined };
  const figures = await measure(bench, [subject("a"), subject("b"), subject("c")]);
  expect(order.join("")).toBe("abcabcbca");
  expect(figures.map(({ samples }) => samples.map(({ value }) => value))).toEqual([
    [4, 9],
    [5, 7],
    [6, 8],
  ]);
});

test("leaves out skipped subjects and comparisons with them", async () => {
  const said: string[] = [];
  const bench = { extent: { rounds: 1 }, late: () => false, say: (line: string) => said.push(line) };
  const run = () => Promise.resolve({ value: 1 });
  const figures = await measure(bench, [
    { name: "a", unit: "ms", run },
    { name: "b", unit: "ms", run, skipped: "no tool" },
  ]);
  expect(figures.map(({ name }) => name)).toEqual(["a"]);
  expect(compare(figures, { what: "", figure: "a", yardstick: "b" })).toEqual([]);
  expect(said).toEqual(["SKIPPED: b: no tool"]);
});
