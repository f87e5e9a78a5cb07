import type { Bench } from "./bench.ts";
import type { Result } from "./figures.ts";
import { noOp } from "./scenarios/no-op.ts";

/** Everything that is measured, in the order in which it is. */
export const scenarios: Readonly<Record<string, (bench: Bench) => Promise<Result>>> = {
  "no-op": noOp,
};
