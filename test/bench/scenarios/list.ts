import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import type { Bench } from "../bench.ts";
import { listed } from "../data/stored-project.ts";
import { type Result, compare, measure } from "../figures.ts";
import { Jobs } from "../load/jobs.ts";
import { loadSubject } from "../load/load.ts";
import { sessionsOf } from "../sessiond.ts";
import type { BenchServer } from "../processes.ts";
import type { Stage } from "../stage.ts";

/** All sessions of the member with few, so that every answer has the same size. */
const pageSize = listed.few;

/** Pages of the sessions of members with few and many. */
export async function list(bench: Bench, stage: Stage): Promise<Result> {
  const { load, extent } = bench;
  const { server } = await stage.large();
  const jobs = new Jobs(server.url, extent);
  const listing = (name: string, count: number, pageToken: string) => {
    const request = { memberId: `listed-${count}`, pageSize, pageToken };
    const job = jobs.grpc(SessionService.method.list, request, `listed-${count}`);
    return loadSubject(load, { name, pid: server.pid, job });
  };
  const names = {
    few: `the page of ${listed.few}`,
    first: `first page of ${listed.many}`,
    hundredth: `hundredth page of ${listed.many}`,
  };
  const figures = await measure(bench, [
    listing(names.few, listed.few, ""),
    listing(names.first, listed.many, ""),
    listing(names.hundredth, listed.many, await tokenOfPage(server, 100)),
  ]);
  return {
    title: `List, pages of ${pageSize} sessions, 128 in flight`,
    figures,
    comparisons: [names.first, names.hundredth].flatMap((name) =>
      compare(figures, {
        what: `List: ${name} / ${names.few}`,
        figure: name,
        yardstick: names.few,
        aim: { atLeast: 0.5 },
      }),
    ),
    notes: [],
  };
}

async function tokenOfPage(server: BenchServer, page: number): Promise<string> {
  const sessions = sessionsOf(server);
  let pageToken = "";
  for (let at = 1; at < page; at++) {
    const answer = await sessions.list({ memberId: `listed-${listed.many}`, pageSize, pageToken });
    if (answer.sessions.length !== pageSize) {
      throw new Error(`page ${at} has ${answer.sessions.length} sessions`);
    }
    pageToken = answer.nextPageToken;
  }
  return pageToken;
}
