import { expect, test } from "vitest";
import {
  crashDatabase,
  cutListeners,
  freezeReplica,
  freezeVerifier,
  killReplica,
} from "./processes/faults.ts";
import { runTrial } from "./trial.ts";

// The long one is `npm run test:faults`.
test("a short trial: replicas, database, listeners and verifiers fail under load, and every promise holds", async () => {
  const report = await runTrial({
    replicas: 2,
    clients: 6,
    watchers: 3,
    verifiers: 2,
    maxStaleness: 1000,
    operations: 1000,
    within: 60_000,
    calm: () => 200,
    faults: [killReplica(100), crashDatabase, cutListeners, freezeReplica(1800), freezeVerifier(1500)],
  });
  expect(report.violations).toEqual([]);
  expect(report.wrong).toEqual([]);
  expect(report.operations).toBeGreaterThanOrEqual(1000);
  // It was a trial: something did fail, and verifiers heard of revocations.
  expect(Object.keys(report.failures)).not.toEqual([]);
  expect(report.propagation.count).toBeGreaterThan(0);
}, 120_000);
