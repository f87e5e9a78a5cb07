import type { Bench } from "../bench.ts";
import { keepMortal } from "../data/stored-project.ts";
import type { Figure, Result } from "../figures.ts";
import { hasH2load } from "../load/h2load.ts";
import type { Job } from "../load/job.ts";
import { Jobs } from "../load/jobs.ts";
import { noOpJob } from "../servers/constants.ts";
import { startSessiond } from "../sessiond.ts";
import type { Stage } from "../stage.ts";

/** How often memory is read, and how often at least if the bench is late. */
const looks = 40;
const minLooks = 6;

/** Memory of a server after very many calls of every kind. */
export async function memory(bench: Bench, stage: Stage): Promise<Result> {
  const { extent, load } = bench;
  const noOpShare = hasH2load ? 0.5 : 0;
  if (!hasH2load) bench.say("SKIPPED: memory: no-op calls: h2load is not installed");
  const { stored } = await stage.large();
  const server = await startSessiond(bench, stored.database, { preload: "servers/memory-report.ts" });
  const jobs = new Jobs(server.url, extent);
  const calls = Math.floor(extent.memoryCalls / looks);
  const run = async (job: Job, share: number) => {
    const { made } = await load.run({ ...job, until: { calls: Math.floor(calls * share) } });
    return made;
  };
  const held: { readonly heap: number; readonly resident: number }[] = [];
  for (let look = 0; look < looks; look++) {
    stored.recent.use(await run(jobs.authenticate(stored.recent, stored.tag), 0.25));
    stored.idle.use(await run(jobs.authenticate(stored.idle, stored.tag), 0.1));
    await keepMortal(bench, stored, calls);
    stored.mortal.use(await run(jobs.revoke(stored.mortal), 0.1));
    stored.mortal.use(await run(jobs.revokeRest(stored.mortal), 0.05));
    if (noOpShare > 0) await run(noOpJob(bench, server.url), noOpShare);
    server.process.send("memory");
    held.push(await server.next());
    if (bench.late() && held.length >= minLooks) break;
  }
  const callsPerLook = calls * (0.5 + noOpShare);
  const made = callsPerLook * held.length;
  const settled = Math.ceil(held.length / 3);
  await server.stop();
  const figures = (["heap", "resident"] as const).map((name): Figure => {
    const samples = held.map((bytes) => ({ value: bytes[name] / 1e6 }));
    return { name, unit: "MB", samples };
  });
  return {
    title: `Memory of a server over ${made} calls`,
    figures,
    comparisons: figures.map((all) => ({
      what: `${all.name} after ${made} calls / after ${callsPerLook * settled}`,
      figure: { ...all, samples: all.samples.slice(-1) },
      yardstick: { ...all, samples: all.samples.slice(settled - 1, settled) },
      // The aim is about all calls.
      aim: made < extent.memoryCalls ? undefined : { atMost: 1.1 },
    })),
    notes: [
      ...(made < extent.memoryCalls ? [`${extent.memoryCalls} calls exceed the time limit; use --full`] : []),
      "35 % Authenticate, 15 % Revoke over gRPC and REST, the rest no-op; garbage is collected before each reading",
    ],
  };
}
