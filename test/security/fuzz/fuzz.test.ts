import { expect, test } from "vitest";
import { fuzzParsers } from "./parsers.ts";
import { fuzzWire } from "./wire.ts";

// The long run: `npm run test:fuzz`.
const seed = 20_261_121;

test("generated inputs make no parser fail, and none repeats a secret", { timeout: 60_000 }, () => {
  const counts = fuzzParsers({ seed, inputs: 20_000 });
  expect(Object.values(counts).reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(20_000);
});

test(
  "generated calls make no answer blame the service, and none shows a secret",
  { timeout: 120_000 },
  async () => {
    const report = await fuzzWire({ seed, inputs: 4000, lanes: 16 });
    expect(report.suspicious).toEqual([]);
    expect(report.inputs).toBeGreaterThan(3000);
    // Some of them were valid.
    expect(report.outcomes.get("200")).toBeGreaterThan(100);
    expect(report.logLines).toBeGreaterThan(report.inputs);
  },
);
