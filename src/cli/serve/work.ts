import cluster from "node:cluster";
import { describeFault } from "../../server/observability/redact.ts";
import { readConfig } from "../../server/config/config.ts";
import type { Stoppable } from "../../server/lifecycle.ts";
import { isStopMessage, startFailureMessage } from "../../server/workers/worker-process.ts";
import { startWorker } from "../../server/workers/workers.ts";
import { inWords } from "../output/in-words.ts";
import { serviceLog } from "./service-log.ts";

/** Serves as one of several processes, until the primary says stop or is gone. */
export async function work(environment: NodeJS.ProcessEnv): Promise<void> {
  // A terminal's Ctrl-C reaches the whole group, and so does many a supervisor's SIGTERM: it is for the primary to act on.
  process.on("SIGTERM", ignore).on("SIGINT", ignore);
  const { worker } = cluster;
  const read = readConfig(environment);
  if (worker === undefined || "problems" in read) throw new Error("a worker is started by sessiond alone");
  const log = serviceLog(read.config);
  process.once("uncaughtException", (error) => {
    log.fatal({ fault: describeFault(error) }, "worker failed");
    process.exit(1);
  });
  let serving = false;
  const stopRequested = new Promise<string>((resolve) => {
    worker.on("message", (message: unknown) => isStopMessage(message) && resolve("the primary says so"));
    worker.on("disconnect", () => {
      // Otherwise node ends the process as soon as the primary has, with calls in flight.
      worker.exitedAfterDisconnect = serving;
      resolve("the primary is gone");
    });
  });
  let service: Stoppable;
  try {
    service = await startWorker(read.config, log);
  } catch (error) {
    log.debug({ fault: describeFault(error) }, "start failed");
    worker.send(startFailureMessage(inWords(error)), () => process.exit(1));
    return;
  }
  serving = true;
  const why = await stopRequested;
  log.info({ why }, "worker stopping");
  await service.stop();
  log.info("worker stopped");
  process.exit(0);
}

const ignore = () => undefined;
