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

/** Everything that is measured, in the order in which it is. */
export const scenarios: Readonly<Record<string, (bench: Bench, stage: Stage) => Promise<Result>>> = {
  "no-op": noOp,
  revoke,
  authenticate,
  "revoke-all": revokeAll,
  list,
  "lone-caller": loneCaller,
  workers,
  memory,
  sizes,
};
