import type { Bench } from "../bench.ts";
import type { Deployment, Stage } from "../stage.ts";
import { keepMortal } from "../data/mortal.ts";
import { type Result, type Subject, figureOf, measure } from "../figures.ts";
import { Jobs } from "../jobs.ts";
import type { Job } from "../load/job.ts";
import { startSessiond } from "../sessiond.ts";

/** What batching costs somebody who calls alone: nobody is to wait for company. */
export async function loneCaller(bench: Bench, stage: Stage): Promise<Result> {
  const { stored } = await stage.large();
  const batched = await startSessiond(bench, stored.database);
  const unbatched = await startSessiond(bench, stored.database, { preload: "servers/unbatched.ts" });
  const subjectsOf = (name: string, server: Deployment["server"]): Subject[] => {
    const jobs = new Jobs(server.url, bench.extent, "1");
    return [
      latencySubject(
        bench,
        `Authenticate, ${name}`,
        () => jobs.authenticate(stored.recent, stored.tag),
        (calls) => stored.recent.use(calls),
      ),
      latencySubject(
        bench,
        `Revoke, ${name}`,
        async () => {
          await keepMortal(bench, stored);
          return jobs.revoke(stored.mortal);
        },
        (calls) => stored.mortal.use(calls),
      ),
    ];
  };
  const figures = await measure(bench, [
    ...subjectsOf("batched", batched),
    ...subjectsOf("unbatched", unbatched),
  ]);
  await batched.stop();
  await unbatched.stop();
  return {
    title: "One lone caller, one call in flight",
    figures,
    comparisons: ["Authenticate", "Revoke"].map((method) => ({
      what: `time of ${method}: with the batcher / the same statements without it`,
      figure: figureOf(figures, `${method}, batched`),
      yardstick: figureOf(figures, `${method}, unbatched`),
      aim: { atMost: 1.15 },
    })),
    notes: ["the median of the calls of a round; without: the same server, its batcher replaced by none"],
  };
}

function latencySubject(
  { load }: Bench,
  name: string,
  job: () => Job | Promise<Job>,
  made: (calls: number) => void,
): Subject {
  return {
    name,
    unit: "ms",
    async run() {
      const { latency, made: calls } = await load.run(await job());
      made(calls);
      return { value: latency.p50, latency };
    },
  };
}
