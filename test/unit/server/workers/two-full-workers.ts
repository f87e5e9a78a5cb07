// Run as a process of its own: two workers of node's cluster, with room for one connection each, on a port that it sends to
// whoever started it. It ends with that.
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
  await createListener({ handler: () => {}, limits }).listen({ host: "127.0.0.1", port: 0 });
}
