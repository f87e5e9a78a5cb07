import type { Bench } from "../bench.ts";
import { type Result, type Subject, compare, measure } from "../figures.ts";
import { Jobs } from "../load/jobs.ts";
import type { BenchServer } from "../processes.ts";
import { startSessiond } from "../sessiond.ts";
import type { Stage } from "../stage.ts";
import { authenticating, revoking } from "./subjects.ts";

/** Latency of a lone caller, who must not wait for others to fill a batch. */
export async function loneCaller(bench: Bench, stage: Stage): Promise<Result> {
  const { stored } = await stage.large();
  const batched = await startSessiond(bench, stored.database);
  const unbatched = await startSessiond(bench, stored.database, { preload: "servers/unbatched.ts" });
  if (!unbatched.output.includes("replaced /batcher.ts")) throw new Error("src has no batcher.ts to replace");
  const subjectsOf = (name: string, { url }: BenchServer): Subject[] => {
    const jobs = new Jobs(url, bench.extent, 1);
    return [
      authenticating(bench, stored, { name: `Authenticate, ${name}`, unit: "ms", jobs }),
      revoking(bench, stored, { name: `Revoke, ${name}`, unit: "ms", jobs }),
    ];
  };
  const figures = await measure(bench, [
    ...subjectsOf("batched", batched),
    ...subjectsOf("unbatched", unbatched),
  ]);
  await batched.stop();
  await unbatched.stop();
  return {
    title: "Lone caller, one call in flight",
    figures,
    comparisons: ["Authenticate", "Revoke"].flatMap((method) =>
      compare(figures, {
        what: `time of ${method}: with the batcher / the same statements without it`,
        figure: `${method}, batched`,
        yardstick: `${method}, unbatched`,
        aim: { atMost: 1.15 },
      }),
    ),
    notes: [
      "median of the calls of a round; unbatched: the same server with a batcher that runs every item alone",
    ],
  };
}
