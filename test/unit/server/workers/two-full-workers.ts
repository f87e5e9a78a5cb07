// Process of full-workers.test.ts: two workers of node:cluster that allow one connection each. Sends their port to its parent, and
// ends with it.
import cluster from "node:cluster";
import { createListener } from "../../../../src/server/listener/listener.ts";

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  let listening = 0;
  cluster.on("listening", (_, { port }: { port: number }) => {
    if (++listening === workers.length) process.send?.(port);
  });
  process.on("disconnect", () => process.exit());
} else {
  const limits = { maxConnections: 1, prefaceTimeoutMs: 600_000 };
  await createListener({ handler: () => {}, limits, onError: () => {} }).listen({
    host: "127.0.0.1",
    port: 0,
  });
}
