import { expect, test } from "vitest";
import { connectionsOfAll, connectionsOfWorker } from "../../../../src/server/workers/connection-share.ts";

test.each([
  [{ maxConnections: 10, workers: 1 }, 10],
  [{ maxConnections: 10, workers: 2 }, 5],
  [{ maxConnections: 10, workers: 3 }, 3],
  [{ maxConnections: 10, workers: 8 }, 2],
])("of %o each worker has %i", (config, share) => {
  expect(connectionsOfWorker(config)).toBe(share);
});

test("the embedded PostgreSQL takes the pools and the listeners of all workers", () => {
  expect(connectionsOfAll({ maxConnections: 10, workers: 64 })).toBeGreaterThan(64 * (2 + 1));
  expect(connectionsOfAll({ maxConnections: 1000, workers: 1 })).toBeGreaterThan(1000 + 1);
});
