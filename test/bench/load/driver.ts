// Runs as a process of its own and does one job after the other, received over IPC: calls with varying bodies.
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Call, callsOf } from "./calls.ts";
import { Http2Replay } from "./http2-replay.ts";
import type { Job, Report } from "./job.ts";
import { Tally } from "./tally.ts";

/** Fails a job if no call ends for this long, in milliseconds. */
const patienceMs = 30_000;

/** Does a job. Rejects if it cannot connect, answers stay away, or the calls of the job run out. */
export async function drive(job: Job): Promise<Report> {
  const next = callsOf(job);
  const sockets = await Promise.all(
    Array.from({ length: job.protocol === "http1" ? 0 : job.connections }, async () => {
      const { hostname, port } = new URL(job.url);
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      await once(socket, "connect");
      return socket;
    }),
  );
  const tally = new Tally();
  const connections =
    job.protocol === "http1"
      ? [new Http1Callers(job, next, tally)]
      : sockets.map((socket) => new Http2Replay(socket, job, next, tally));
  try {
    for (const connection of connections) connection.start();
    if ("seconds" in job.until) {
      await delay(job.until.seconds * 1000);
      // A slow server gets the time to answer each caller once: fewer answers make no rate.
      await reached(() => tally.made >= job.connections * job.streams, tally);
      tally.end();
      for (const connection of connections) connection.stop();
    }
    await reached(() => connections.every(({ inFlight }) => inFlight === 0), tally);
    tally.end();
    return tally.report();
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Waits for a condition. Rejects if no call ends for too long. */
async function reached(condition: () => boolean, tally: Tally): Promise<void> {
  let [made, deadline] = [-1, 0];
  while (!condition()) {
    if (tally.made > made) [made, deadline] = [tally.made, performance.now() + patienceMs];
    if (performance.now() > deadline) throw new Error("calls were not answered");
    await delay(1);
  }
}

/** Calls over HTTP/1.1 with Node's own client: for a peer so slow that the client's cost does not count. */
class Http1Callers {
  readonly #job: Job;
  readonly #next: () => Call | undefined;
  readonly #tally: Tally;
  readonly #agent: Agent;
  #stopped = false;
  inFlight = 0;

  constructor(job: Job, next: () => Call | undefined, tally: Tally) {
    this.#job = job;
    this.#next = next;
    this.#tally = tally;
    this.#agent = new Agent({ keepAlive: true, maxSockets: job.connections });
  }

  start(): void {
    for (let i = 0; i < this.#job.connections; i++) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    this.inFlight++;
    for (let call = this.#next(); call !== undefined && !this.#stopped; call = this.#next()) {
      const start = performance.now();
      this.#tally.add(await this.#make(call).catch(() => "connection lost"), start);
    }
    this.inFlight--;
    if (this.inFlight === 0) this.#agent.destroy();
  }

  async #make({ headers, body }: Call): Promise<string> {
    const { url, path, method, expect } = this.#job;
    const outgoing = request(url + path, {
      method,
      agent: this.#agent,
      headers: { ...this.#job.headers, ...headers },
    });
    outgoing.end(method === "GET" ? undefined : body);
    const [answer] = await once(outgoing, "response");
    const chunks: Buffer[] = await answer.toArray();
    if (answer.statusCode !== 200) return `http ${answer.statusCode}`;
    return Buffer.concat(chunks).includes(expect, 0, "latin1") ? "ok" : "unexpected answer";
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  process.on("message", (job: Job) => {
    drive(job).then(
      (report) => process.send?.({ report }),
      (error: unknown) => process.send?.({ failure: String(error) }),
    );
  });
  // The preloaded module that ends this process with its parent lets it end when it is idle.
  process.channel?.ref();
  process.send({ ready: true });
}
