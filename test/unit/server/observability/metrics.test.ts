import { expect, test } from "vitest";
import { Metrics } from "../../../../src/server/observability/metrics.ts";

test("counts purged rows by kind, starting at 0", async () => {
  const metrics = new Metrics();
  const shown = async () => (await metrics.registry.metrics()).match(/^sessiond_purged_total\{.*$/gm);
  expect(await shown()).toEqual([
    'sessiond_purged_total{kind="sessions"} 0',
    'sessiond_purged_total{kind="tokens"} 0',
    'sessiond_purged_total{kind="revocations"} 0',
    'sessiond_purged_total{kind="cutoffs"} 0',
  ]);
  metrics.batchPurged({ sessions: 3, tokens: 2, revocations: 1, cutoffs: 0 });
  metrics.batchPurged({ sessions: 4, tokens: 0, revocations: 0, cutoffs: 1 });
  expect(await shown()).toEqual([
    'sessiond_purged_total{kind="sessions"} 7',
    'sessiond_purged_total{kind="tokens"} 2',
    'sessiond_purged_total{kind="revocations"} 1',
    'sessiond_purged_total{kind="cutoffs"} 1',
  ]);
});
