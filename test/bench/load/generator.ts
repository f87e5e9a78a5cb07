import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { callSource } from "./call-source.ts";
import type { Connection } from "./connection.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { Job, Report } from "./job.ts";
import { Tally } from "./tally.ts";

/** Milliseconds that the last answers may take. */
const patience = 30_000;

/** Does a job. Rejects where it could not be done: no connection, answers that did not come, calls that ran out. */
export async function generate(job: Job): Promise<Report> {
  const { until } = job;
  const tally = new Tally();
  const source = callSource(job);
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => open(job.url)));
  try {
    const Kind = job.protocol === "grpc" ? Http2Connection : Http1Connection;
    const connections = sockets.map((socket) => new Kind(socket, job, source, tally));
    if ("calls" in until) tally.begin();
    for (const connection of connections) connection.start();
    if ("seconds" in until) {
      await delay(job.warmUpSeconds * 1000);
      tally.begin();
      await delay(until.seconds * 1000);
      tally.end();
      for (const connection of connections) connection.stop();
    }
    await answered(connections);
    tally.end();
    return tally.report();
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  return socket;
}

async function answered(connections: readonly Connection[]): Promise<void> {
  const deadline = performance.now() + patience;
  while (connections.some(({ inFlight }) => inFlight > 0)) {
    if (performance.now() > deadline) throw new Error("the last calls were not answered");
    await delay(5);
  }
}
