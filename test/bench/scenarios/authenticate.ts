import type { Bench } from "../bench.ts";
import { betterAuthSubject } from "../data/better-auth.ts";
import type { NumberRange } from "../data/numbers.ts";
import { type Result, measure, ratiosOf } from "../figures.ts";
import { Jobs } from "../load/jobs.ts";
import { selfCheck } from "../load/self-check.ts";
import { bareSubject, startBare } from "../servers/bare.ts";
import { constantSubjects, noOpSubject, yardsticks } from "../servers/constants.ts";
import type { Stage } from "../stage.ts";
import { authenticating } from "./subjects.ts";

/** Authentication by token. Every call asks the database. */
export async function authenticate(bench: Bench, stage: Stage): Promise<Result> {
  const { server, stored } = await stage.large();
  const peer = await stage.betterAuth();
  const constants = await stage.constants();
  const bare = await startBare(bench, stored);
  const jobs = new Jobs(server.url, bench.extent);
  const subject = async (name: string, range: NumberRange, issueJwt = false) => {
    await selfCheck(jobs.authenticate(range, stored.tag, { issueJwt }));
    return authenticating(bench, stored, { name, jobs, pid: server.pid }, { range, issueJwt });
  };
  const figures = await measure(bench, [
    await subject("sessiond, gRPC", stored.recent),
    await subject("sessiond, gRPC, access recorded", stored.idle),
    await subject("sessiond, gRPC, JWT issued", stored.recent, true),
    noOpSubject(bench, "sessiond, no-op, gRPC", server),
    await betterAuthSubject(bench, peer, "get-session"),
    bareSubject(bench, bare, "pg, one select", "authenticate", stored),
    ...constantSubjects(bench, constants, yardsticks),
  ]);
  await bare.stop();
  const ratio = ratiosOf(figures, "Authenticate");
  return {
    title: `Authenticate by token, ${stored.count} sessions stored, no cache, 128 in flight`,
    figures,
    comparisons: [
      ...ratio("sessiond, gRPC", "better-auth get-session", 25),
      ...ratio("sessiond, gRPC, access recorded", "better-auth get-session", 25),
      ...ratio("sessiond, gRPC, JWT issued", "better-auth get-session"),
      ...ratio("sessiond, gRPC", "sessiond, no-op, gRPC"),
      ...ratio("sessiond, gRPC", "pg, one select"),
      ...yardsticks.flatMap((name) => ratio("sessiond, gRPC", name)),
    ],
    notes: [
      "bare node:http2, @grpc/grpc-js and connect-node answer a constant",
      "better-auth without its cookie cache; JWT issued: every answer has a newly signed session JWT",
      "access recorded: the session was last used an hour ago, so that the call also writes its access time",
    ],
  };
}
