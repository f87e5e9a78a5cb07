import type { Bench } from "./bench.ts";
import type { Result } from "./figures.ts";
import { authenticate } from "./scenarios/authenticate.ts";
import { list } from "./scenarios/list.ts";
import { loneCaller } from "./scenarios/lone-caller.ts";
import { memory } from "./scenarios/memory.ts";
import { noOp } from "./scenarios/no-op.ts";
import { revokeAll } from "./scenarios/revoke-all.ts";
import { revoke } from "./scenarios/revoke.ts";
import { sizes } from "./scenarios/sizes.ts";
import { workers } from "./scenarios/workers.ts";
import type { Stage } from "./stage.ts";

/** Something that is measured. */
interface Scenario {
  readonly run: (bench: Bench, stage: Stage) => Promise<Result>;
  /** By when it should have ended, as a share of the time of the whole. */
  readonly until: number;
}

/** Everything that is measured, in the order in which it is. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "no-op": { run: noOp, until: 0.13 },
  revoke: { run: revoke, until: 0.34 },
  authenticate: { run: authenticate, until: 0.46 },
  "revoke-all": { run: revokeAll, until: 0.49 },
  list: { run: list, until: 0.53 },
  "lone-caller": { run: loneCaller, until: 0.58 },
  workers: { run: workers, until: 0.61 },
  memory: { run: memory, until: 0.72 },
  sizes: { run: sizes, until: 1 },
};
