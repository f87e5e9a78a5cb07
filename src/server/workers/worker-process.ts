import cluster, { type Address } from "node:cluster";
import { z } from "zod";

/** Starts another process of this program. `environment` overrides variables of this process. */
export function forkWorker(environment: Readonly<Record<string, string>>) {
  // Round robin, because the kernel would give most connections to one worker.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork(environment);
  let startFailure: string | undefined;
  worker.on("message", (message: unknown) => {
    startFailure ??= startFailureSchema.safeParse(message).data?.message;
  });
  const ended = new Promise<string>((resolve) => {
    // The last message may arrive after the exit; the channel closes when all messages were read.
    const closed = new Promise<void>((close) => {
      worker.once("disconnect", close);
    });
    worker.once("exit", (status: number, signal: string | null) => {
      void closed.then(() => resolve(startFailure ?? `it ended with ${signal ?? `status ${status}`}`));
    });
    worker.on("error", (error: Error) => {
      // With a pid it has started, and the error is that of a message that it did not receive before its end.
      if (worker.process.pid === undefined) resolve(`it could not be started: ${error.message}`);
    });
  });
  const listening = new Promise<Address | undefined>((resolve) => {
    worker.once("listening", resolve);
    void ended.then(() => resolve(undefined));
  });
  return {
    /** Undefined if the process could not be started. */
    pid: worker.process.pid,
    /** Resolves with its address, or with undefined if it ended first. */
    listening,
    /** Resolves with the cause when it has ended. */
    ended,
    /** Makes it drain and end. */
    stop() {
      // Not earlier: a worker that is starting does not read messages yet.
      void listening.then(() => worker.isConnected() && worker.send(stopMessage, () => undefined));
    },
    kill: () => void worker.process.kill("SIGKILL"),
  };
}

export type WorkerProcess = ReturnType<typeof forkWorker>;

const stopMessage = { type: "sessiond:stop" } as const;

const stopSchema = z.object({ type: z.literal(stopMessage.type) });

const startFailureSchema = z.object({ type: z.literal("sessiond:start-failure"), message: z.string() });

/** Whether a message asks this worker to drain and end. Node and libraries use the same channel. */
export function isStopMessage(message: unknown): boolean {
  return stopSchema.safeParse(message).success;
}

/** The reason why this worker cannot start. The primary reports it once for all workers. */
export function startFailureMessage(message: string): z.output<typeof startFailureSchema> {
  return { type: "sessiond:start-failure", message };
}
