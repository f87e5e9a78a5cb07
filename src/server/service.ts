import type { Logger } from "pino";
import type { AdditionalService } from "./assemble.ts";
import type { Config } from "./config.ts";
import type { DevelopmentProject } from "./data-directory.ts";
import { layFoundation } from "./foundation.ts";
import { startReplica } from "./replica.ts";
import { type Stoppable, startAll } from "./running.ts";

/** A running service; to stop it is to drain it, within the configured grace. */
export interface Service extends Stoppable {
  readonly address: string;
  readonly port: number;
  /** On the embedded default without a bootstrap project. */
  readonly development: DevelopmentProject | undefined;
}

/**
 * Starts everything in this process, in the order in which it depends on each other; with `additional` services beside its
 * own. Rejects, in words, and leaves nothing running.
 */
export function startService(
  config: Config,
  log: Logger,
  now: () => Date = () => new Date(),
  additional: readonly AdditionalService[] = [],
): Promise<Service> {
  return startAll(async (running) => {
    const foundation = await layFoundation(config, log, now, running);
    const { address, port } = await startReplica({ config, foundation, log, now, additional }, running);
    return { address, port, development: foundation.development };
  });
}
