import cluster, { type Address } from "node:cluster";
import { refusalOf, stopMessage } from "./worker-messages.ts";

/** A process that serves a share of the connections. */
export interface WorkerProcess {
  /** Undefined where the system would start none. */
  readonly pid: number | undefined;
  /** Where it listens; undefined when it ended before. */
  readonly listening: Promise<Pick<Address, "address" | "port"> | undefined>;
  /** Resolves, in words, when it has ended for whatever reason. */
  readonly ended: Promise<string>;
  /** Has it drain and end. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
}

/** Starts this program once more, with `environment` over this process's own. */
export function forkWorker(environment: Readonly<Record<string, string>>): WorkerProcess {
  // Connections in turn: with the kernel to choose, most would end at one worker.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork(environment);
  let refusal: string | undefined;
  worker.on("message", (message: unknown) => (refusal ??= refusalOf(message)));
  const ended = new Promise<string>((resolve) => {
    // What it said last may be read after its end: the channel is closed when all was.
    const closed = new Promise<void>((close) => {
      worker.once("disconnect", close);
    });
    worker.once("exit", (status: number, signal: string | null) => {
      void closed.then(() => resolve(refusal ?? `it ended with ${signal ?? `status ${status}`}`));
    });
    worker.on("error", (error: Error) => {
      // With a pid it runs, and this is of a message that it ended too soon to hear.
      if (worker.process.pid === undefined) resolve(`it could not be started: ${error.message}`);
    });
  });
  const listening = new Promise<Address | undefined>((resolve) => {
    worker.once("listening", resolve);
    void ended.then(() => resolve(undefined));
  });
  return {
    pid: worker.process.pid,
    listening,
    ended,
    stop() {
      // Before, it would not hear.
      void listening.then(() => worker.isConnected() && worker.send(stopMessage, () => undefined));
    },
    kill: () => void worker.process.kill("SIGKILL"),
  };
}
