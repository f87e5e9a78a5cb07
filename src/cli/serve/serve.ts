import { once } from "node:events";
import type { Logger } from "pino";
import { describeFault } from "../../server/observability/redact.ts";
import { readConfig } from "../../server/config/config.ts";
import { type Service, startService } from "../../server/service.ts";
import { isWorker, startWorkers } from "../../server/workers/workers.ts";
import { allocateYoung } from "./allocate-young.ts";
import { inWords } from "../output/in-words.ts";
import { serviceLog } from "./service-log.ts";
import { welcome } from "./welcome.ts";
import { work } from "./work.ts";

/**
 * Runs the service until SIGTERM or SIGINT. Standard output is for people; the log goes to standard error, as JSON.
 */
export async function serve(environment: NodeJS.ProcessEnv): Promise<void> {
  allocateYoung();
  if (isWorker(environment)) return work(environment);
  const read = readConfig(environment);
  if ("problems" in read) {
    process.stderr.write(
      `sessiond cannot start:\n${read.problems.map((problem) => `  ${problem}\n`).join("")}`,
    );
    process.exitCode = 1;
    return;
  }
  const { config, warnings } = read;
  const log = serviceLog(config);
  for (const warning of warnings) log.warn(warning);
  const stopRequested = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  let service: Service;
  try {
    service = config.workers === 1 ? await startService(config, log) : await startWorkers(config, log);
  } catch (error) {
    process.stderr.write(`sessiond cannot start: ${inWords(error)}\n`);
    log.debug({ fault: describeFault(error) }, "start failed");
    process.exitCode = 1;
    return;
  }
  process.stdout.write(welcome(service, config.tls === undefined ? "http" : "https"));
  await stopRequested;
  await stop(service, log);
}

async function stop(service: Service, log: Logger): Promise<void> {
  log.info("stopping");
  // A second signal means now.
  const impatient = () => process.exit(1);
  process.once("SIGTERM", impatient).once("SIGINT", impatient);
  await service.stop();
  log.info("stopped");
  process.exit(0);
}
