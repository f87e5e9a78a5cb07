import { expect, test } from "vitest";
import { type Figure, cpuRatioOf, isReached, measure, ratioOf, valueOf } from "./figures.ts";

const figure = (name: string, ...values: readonly number[]): Figure => ({
  name,
  unit: "calls/s",
  samples: values.map((value) => ({ value, cpu: 1000 / value })),
});

test("a ratio is the median of those within the rounds", () => {
  // Both were slowed down tenfold in the second round.
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

test("rounds begin with another subject each, and the first of all does not count", async () => {
  const order: string[] = [];
  const subject = (name: string) => ({
    name,
    unit: "ms" as const,
    run: () => {
      order.push(name);
      return Promise.resolve({ value: order.length });
    },
  });
  const bench = { extent: { rounds: 2 }, late: () => true };
  const figures = await measure(bench, [subject("a"), subject("b"), subject("c")]);
  expect(order.join("")).toBe("abcabcbca");
  expect(figures.map(({ samples }) => samples.map(({ value }) => value))).toEqual([
    [4, 9],
    [5, 7],
    [6, 8],
  ]);
});
