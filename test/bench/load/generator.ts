import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { callSource } from "./call-source.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { Job, Report } from "./job.ts";
import { Tally } from "./tally.ts";

/** Longest time without any answer, in milliseconds. */
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
      // A slow server gets the time to answer as many as are in flight: of fewer there is no rate to tell.
      await cameTrue(() => tally.counted >= job.connections * job.streams, tally);
      tally.end();
      for (const connection of connections) connection.stop();
    }
    await cameTrue(() => connections.every(({ inFlight }) => inFlight === 0), tally);
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

/** Waits until something holds; rejects when no call has been answered for too long. */
async function cameTrue(holds: () => boolean, tally: Tally): Promise<void> {
  let answered = -1;
  let deadline = 0;
  while (!holds()) {
    if (tally.made > answered) {
      answered = tally.made;
      deadline = performance.now() + patience;
    } else if (performance.now() > deadline) {
      throw new Error("calls were not answered");
    }
    await delay(5);
  }
}
