import { availableParallelism } from "node:os";
import type { Bench } from "../bench.ts";
import { type Result, compare, measure } from "../figures.ts";
import { Jobs } from "../load/jobs.ts";
import { startSessiond } from "../sessiond.ts";
import type { Stage } from "../stage.ts";
import { authenticating } from "./subjects.ts";

/** One process and two, not bound to a core. */
export async function workers(bench: Bench, stage: Stage): Promise<Result> {
  const { stored } = await stage.large();
  const nameOf = (count: number) => `Authenticate, SESSIOND_WORKERS=${count}`;
  const servers = [];
  const subjects = [];
  for (const count of [1, 2]) {
    const environment = { SESSIOND_WORKERS: String(count) };
    const server = await startSessiond(bench, stored.database, { environment, core: undefined });
    const jobs = new Jobs(server.url, bench.extent);
    servers.push(server);
    subjects.push(authenticating(bench, stored, { name: nameOf(count), jobs }));
  }
  const figures = await measure(bench, subjects);
  for (const server of servers) await server.stop();
  return {
    title: "Workers, 128 in flight",
    figures,
    comparisons: compare(figures, {
      what: "Authenticate: two workers / one",
      figure: nameOf(2),
      yardstick: nameOf(1),
    }),
    notes: [`${availableParallelism()} cores, shared with Postgres and the load`],
  };
}
