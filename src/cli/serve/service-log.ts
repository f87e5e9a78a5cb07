import { type Logger, pino } from "pino";
import type { Config } from "../../server/config/config.ts";
import { logOutput } from "../../server/observability/log-destination.ts";

/**
 * The log of a process that serves: JSON lines on standard error, which workers have in common. Lines say which process wrote
 * them where there are several, and are not torn: `logOutput` writes them in pieces that the system keeps whole. Only a line
 * beyond 4096 bytes, which is one of a fault with a long chain of causes, may be cut by another on a pipe that is full.
 */
export function serviceLog({ logLevel, workers }: Pick<Config, "logLevel" | "workers">): Logger {
  const isShared = workers > 1;
  return pino({ level: logLevel, base: isShared ? { pid: process.pid } : null }, logOutput(2, isShared));
}
