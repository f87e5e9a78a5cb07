import { Client } from "pg";
import { type Bench, urlOf } from "../bench.ts";
import { ended } from "../data/stored-project.ts";
import { type Result, type Subject, compare, measure, median } from "../figures.ts";
import type { BenchServer } from "../processes.ts";
import { sessionsOf } from "../sessiond.ts";
import type { Stage } from "../stage.ts";

const scopes = {
  member: { case: "memberId", value: "crowd" },
  organization: { case: "organizationId", value: "crowd" },
  project: { case: "project", value: {} },
} as const;

const calls = 25;

/** Time of RevokeAll for a million sessions and for one. */
export async function revokeAll(bench: Bench, stage: Stage): Promise<Result> {
  const { server, stored } = await stage.large();
  const database = new Client({ connectionString: urlOf(bench, stored.database) });
  await database.connect();
  const subjectOf = (scope: keyof typeof scopes, projectId: string, name: string): Subject => {
    const sessions = sessionsOf(server, projectId);
    return {
      name,
      unit: "ms",
      async run() {
        const times: number[] = [];
        for (let call = 0; call < calls; call++) {
          // Makes all sessions active again.
          await database.query("delete from cutoffs where project_id = $1", [projectId]);
          const start = performance.now();
          const { revision } = await sessions.revokeAll({ scope: scopes[scope] });
          times.push(performance.now() - start);
          if (revision === 0n) throw new Error("nothing was revoked");
        }
        return { value: median(times) };
      },
    };
  };
  const active = await countActive(server);
  const names = Object.keys(scopes) as (keyof typeof scopes)[];
  const nameOf = (scope: string, count: number) => `RevokeAll, ${scope} with ${count}`;
  const subjects = names.flatMap((scope) => [
    subjectOf(scope, ended.many, nameOf(scope, active)),
    subjectOf(scope, ended.one, nameOf(scope, 1)),
  ]);
  const figures = await measure(bench, subjects);
  const left = await countActive(server);
  await database.end();
  if (left !== 0) throw new Error(`${left} sessions are active after all were revoked`);
  return {
    title: "RevokeAll, one lone caller",
    figures,
    comparisons: names.flatMap((scope) =>
      compare(figures, {
        what: `time of RevokeAll of a ${scope}: ${active} active sessions / 1`,
        figure: nameOf(scope, active),
        yardstick: nameOf(scope, 1),
        aim: { atMost: 1.2 },
      }),
    ),
    notes: [`each round is the median of ${calls} calls; all sessions are active before each call`],
  };
}

async function countActive(server: BenchServer): Promise<number> {
  const sessions = sessionsOf(server, ended.many);
  const { revokedCount } = await sessions.revokeAll({ scope: scopes.project, validateOnly: true });
  return Number(revokedCount);
}
