import cluster from "node:cluster";
import type { Logger } from "pino";
import { type Config, readConfig } from "../../server/config/config.ts";
import type { Stoppable } from "../../server/lifecycle.ts";
import { describeFault } from "../../server/observability/log.ts";
import { isStopMessage, startFailureMessage } from "../../server/workers/worker-process.ts";
import { startWorker } from "../../server/workers/workers.ts";
import { errorText } from "../output/failure.ts";

/** Serves as one of several processes until the primary stops it or ends. */
export async function runWorker(
  environment: NodeJS.ProcessEnv,
  serviceLog: (config: Config) => Logger,
): Promise<void> {
  // Ctrl-C in a terminal reaches the whole process group, as does SIGTERM of many supervisors. Only the primary acts on them.
  process.on("SIGTERM", ignore).on("SIGINT", ignore);
  const { worker } = cluster;
  const read = readConfig(environment);
  if (worker === undefined || "problems" in read) throw new Error("only sessiond itself can start a worker");
  const log = serviceLog(read.config);
  process.once("uncaughtException", (error) => {
    log.fatal({ fault: describeFault(error) }, "worker failed");
    process.exit(1);
  });
  let serving = false;
  const stopRequested = new Promise<string>((resolve) => {
    worker.on("message", (message: unknown) => isStopMessage(message) && resolve("requested by the primary"));
    worker.on("disconnect", () => {
      // Otherwise Node.js exits as soon as the primary has, in the middle of calls.
      worker.exitedAfterDisconnect = serving;
      resolve("the primary ended");
    });
  });
  let service: Stoppable;
  try {
    service = await startWorker(read.config, log);
  } catch (error) {
    log.debug({ fault: describeFault(error) }, "start failed");
    worker.send(startFailureMessage(errorText(error)), () => process.exit(1));
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
