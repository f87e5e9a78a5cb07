import { expect, test } from "vitest";
import { Backoff } from "../../../src/transport/backoff.ts";

test("waits twice as long after every failure in a row, with jitter, up to the bound", () => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 350 });
  for (let round = 0; round < 100; round++) {
    for (const boundMs of [100, 200, 350, 350]) {
      const ms = backoff.nextMs();
      expect(ms).toBeGreaterThanOrEqual(boundMs / 2);
      expect(ms).toBeLessThanOrEqual(boundMs);
    }
    backoff.reset();
  }
  const waits = Array.from({ length: 20 }, () => new Backoff({ firstMs: 100, maxMs: 100 }).nextMs());
  expect(new Set(waits).size).toBeGreaterThan(1);
});
