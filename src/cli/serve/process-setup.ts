import { setFlagsFromString } from "node:v8";
import { type Logger, pino } from "pino";
import type { Config } from "../../server/config/config.ts";
import { logOutput } from "../../server/observability/log-destination.ts";

/**
 * Disables V8's allocation-site pretenuring. It would allocate the objects of calls in old space, where dead ones keep what
 * they refer to until the next major collection: 14% of the CPU time of a REST call.
 */
export function disablePretenuring(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}

/**
 * The log of a serving process: JSON lines on standard error, which workers share. If there are several processes, each line has
 * the process id. Lines up to 4096 bytes are never torn; longer ones, of faults with many causes, may be on a full pipe.
 */
export function serviceLog({ logLevel, workers }: Pick<Config, "logLevel" | "workers">): Logger {
  const isShared = workers > 1;
  return pino({ level: logLevel, base: isShared ? { pid: process.pid } : null }, logOutput(2, isShared));
}
