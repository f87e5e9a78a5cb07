import type { Bench } from "../bench.ts";
import { restoreProject, storeProject } from "../data/stored-project.ts";
import { type Result, type Subject, compare, measure } from "../figures.ts";
import { Jobs } from "../load/jobs.ts";
import { loadSubject } from "../load/load.ts";
import type { Stage } from "../stage.ts";
import { startSessiond } from "../sessiond.ts";
import { authenticating } from "./subjects.ts";

/** Sessions in the small database. Half of them are to be revoked. */
const small = 10_000;

/** The same calls with few and with very many stored sessions. */
export async function sizes(bench: Bench, stage: Stage): Promise<Result> {
  const { extent, load } = bench;
  const revocations = extent.name === "quick" ? 1000 : 4500;
  const subjects: Subject[] = [];
  const counts = [small, await howMany(bench, stage)] as const;
  for (const count of counts) {
    const stored = await storeProject(bench, `sized_${count}`, count);
    const server = await startSessiond(bench, stored.database);
    const jobs = new Jobs(server.url, extent);
    const { mortal } = stored;
    subjects.push(
      authenticating(bench, stored, { name: `Authenticate, ${count} stored`, pid: server.pid, jobs }),
      loadSubject(load, {
        name: `Revoke, ${count} stored`,
        pid: server.pid,
        async job() {
          if (count === small) await restoreProject(bench, stored);
          return { ...jobs.revoke(mortal), until: { calls: revocations } };
        },
        made: (calls) => mortal.use(calls),
      }),
    );
  }
  const figures = await measure(bench, subjects);
  const [few, many] = counts;
  return {
    title: `${many} sessions stored, and ${few}; 128 in flight`,
    figures,
    comparisons: ["Authenticate", "Revoke"].flatMap((method) =>
      compare(figures, {
        what: `${method}: ${many} sessions stored / ${few}`,
        figure: `${method}, ${many} stored`,
        yardstick: `${method}, ${few} stored`,
        // The aim is about the huge number.
        aim: many < extent.huge ? undefined : { atLeast: 0.8 },
      }),
    ),
    notes: [
      ...(many < extent.huge ? [`${extent.huge} sessions exceed the time limit; use --full`] : []),
      `${revocations} revocations per round; those of the small database are undone before the next`,
    ],
  };
}

/** The huge number, or as many as fit into the time limit by the time that storing the large number took. */
async function howMany({ extent, elapsed }: Bench, stage: Stage): Promise<number> {
  const { huge, large, rounds, seconds, secondsInAll } = extent;
  if (secondsInAll === Infinity) return huge;
  const { stored } = await stage.large();
  // Twice the time of the calls themselves: the small database is restored before each round.
  const calls = 2 * 4 * (rounds + 1) * seconds;
  const left = secondsInAll - elapsed() - calls;
  const fitting = left / stored.secondsForEach;
  return Math.max(large, Math.min(huge, Math.floor(fitting / large) * large));
}
