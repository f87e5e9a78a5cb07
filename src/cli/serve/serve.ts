import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { type Logger, pino } from "pino";
import { type Config, readConfig } from "../../server/config/config.ts";
import { describeFault, logOutput } from "../../server/observability/log.ts";
import { exitBy } from "../../server/operator/operator-database.ts";
import { type Service, startService } from "../../server/service.ts";
import { isWorker, startWorkers } from "../../server/workers/workers.ts";
import { errorText } from "../output/failure.ts";
import { banner } from "./banner.ts";
import { runWorker } from "./worker.ts";

/** Runs the service until SIGTERM or SIGINT. The banner goes to standard output, the log as JSON to standard error. */
export async function serve(environment: NodeJS.ProcessEnv): Promise<void> {
  disablePretenuring();
  if (isWorker(environment)) return runWorker(environment, serviceLog);
  const read = readConfig(environment);
  if ("problems" in read) {
    return failStart(`\n${read.problems.map((problem) => `  ${problem}`).join("\n")}`);
  }
  const { config, warnings } = read;
  const log = serviceLog(config);
  for (const warning of warnings) log.warn(warning);
  const stopRequested = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  // A start may wait for long. It is ended at once, because nothing has been served yet.
  const endStart = (signal: NodeJS.Signals) => {
    log.info({ signal }, "ended before it was started");
    exitBy(signal);
  };
  process.once("SIGTERM", endStart).once("SIGINT", endStart);
  const stopGracefully = () => process.off("SIGTERM", endStart).off("SIGINT", endStart);
  let service: Service;
  try {
    service =
      config.workers === 1
        ? await startService(config, log)
        : await startWorkers(config, log, stopGracefully);
  } catch (error) {
    log.debug({ fault: describeFault(error) }, "start failed");
    return failStart(` ${errorText(error)}`);
  }
  stopGracefully();
  process.stdout.write(banner(service, config.tls === undefined ? "http" : "https"));
  await stopRequested;
  await stop(service, log);
}

function failStart(text: string): void {
  process.stderr.write(`sessiond cannot start:${text}\n`);
  process.exitCode = 1;
}

async function stop(service: Service, log: Logger): Promise<void> {
  log.info("stopping");
  // A second signal ends the process at once.
  const exit = () => process.exit(1);
  process.once("SIGTERM", exit).once("SIGINT", exit);
  await service.stop();
  log.info("stopped");
  process.exit(0);
}

/**
 * Disables V8's allocation-site pretenuring. It would allocate the objects of calls in old space, where dead ones keep what
 * they refer to until the next major collection: 14% of the CPU time of a REST call.
 */
function disablePretenuring(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}

/**
 * The log of a serving process: JSON lines on standard error, which workers share. If there are several processes, each line has
 * the process id. Lines up to 4096 bytes are never torn; longer ones, of faults with many causes, may be on a full pipe.
 */
function serviceLog({ logLevel, workers }: Config): Logger {
  const isShared = workers > 1;
  const log = pino({ level: logLevel, base: isShared ? { pid: process.pid } : null }, logOutput(2, isShared));
  // Node would print its own warnings, and those of packages, as text.
  process.removeAllListeners("warning").on("warning", ({ name, message }) => log.warn({ name }, message));
  return log;
}
