import { expect, test } from "vitest";
import { Metrics } from "../../../../src/server/observability/metrics.ts";

test("counts purged rows by kind, starting at 0", async () => {
  const metrics = new Metrics();
  const shown = async () =>
    (await metrics.registry.metrics()).match(/(?<=^sessiond_purged_total\{)kind=.*$/gm);
  const counts = (sessions: number, tokens: number, revocations: number, cutoffs: number) =>
    Object.entries({ sessions, tokens, revocations, cutoffs }).map(
      ([kind, count]) => `kind="${kind}"} ${count}`,
    );
  expect(await shown()).toEqual(counts(0, 0, 0, 0));
  metrics.batchPurged({ sessions: 3, tokens: 2, revocations: 1, cutoffs: 0 });
  metrics.batchPurged({ sessions: 4, tokens: 0, revocations: 0, cutoffs: 1 });
  expect(await shown()).toEqual(counts(7, 2, 1, 1));
});
