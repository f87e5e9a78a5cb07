import { expect, test } from "vitest";
import {
  crashDatabase,
  cutListeners,
  freezeReplica,
  freezeVerifier,
  killReplica,
} from "./processes/faults.ts";
import { runTrial } from "./trial.ts";

// The long trial: `npm run test:faults`.
test("all promises hold under load while replicas, database, listeners and verifiers fail", async () => {
  const report = await runTrial({
    replicas: 2,
    clients: 6,
    watchers: 3,
    verifiers: 2,
    maxStaleness: 1000,
    operations: 1000,
    timeoutMs: 60_000,
    pauseMs: () => 200,
    faults: [killReplica(100), crashDatabase, cutListeners, freezeReplica(1800), freezeVerifier(1500)],
  });
  expect(report.violations).toEqual([]);
  expect(report.problems).toEqual([]);
  expect(report.logProblems).toEqual([]);
  expect(report.history.length).toBeGreaterThanOrEqual(1000);
  // The faults had an effect, and verifiers received revocations.
  expect(Object.keys(report.failures)).not.toEqual([]);
  expect(report.propagation.count).toBeGreaterThan(0);
}, 120_000);
