import type { Bench } from "../bench.ts";
import { bareSubject, startBare } from "../bare.ts";
import { betterAuthJob } from "../better-auth-job.ts";
import { constantSubjects, noOpSubject, yardsticks } from "../constants.ts";
import type { NumberRange } from "../data/numbers.ts";
import { type Result, figureOf, measure } from "../figures.ts";
import { Jobs } from "../jobs.ts";
import { loadSubject } from "../load-subject.ts";
import { selfCheck } from "../self-check.ts";
import type { Stage } from "../stage.ts";

/** Authentication by token, the database asked every time. */
export async function authenticate(bench: Bench, stage: Stage): Promise<Result> {
  const { load, extent } = bench;
  const { server, stored } = await stage.large();
  const peer = await stage.betterAuth();
  const constants = await stage.constants();
  const bare = await startBare(bench, stored);
  const jobs = new Jobs(server.url, extent);
  const authenticating = async (name: string, range: NumberRange, issueJwt = false) => {
    const job = () => jobs.authenticate(range, stored.tag, { issueJwt });
    await selfCheck(job());
    return loadSubject(load, { name, pid: server.pid, job, made: (calls) => range.use(calls) });
  };
  const subjects = [
    await authenticating("sessiond, gRPC", stored.recent),
    await authenticating("sessiond, gRPC, access noted", stored.idle),
    await authenticating("sessiond, gRPC, JWT issued", stored.recent, true),
    noOpSubject(bench, "sessiond, no-op, gRPC", server),
    await betterAuthJob(bench, peer, "get-session"),
    bareSubject(bench, bare, "pg, one select", "authenticate", stored),
    ...constantSubjects(bench, constants, yardsticks),
  ];
  const figures = await measure(bench, subjects);
  await bare.stop();
  const compare = (name: string, yardstick: string, atLeast?: number) => ({
    what: `Authenticate: ${name} / ${yardstick}`,
    figure: figureOf(figures, name),
    yardstick: figureOf(figures, yardstick),
    aim: atLeast === undefined ? undefined : { atLeast },
  });
  return {
    title: `Authenticate by token, ${stored.count} sessions stored, no cache, 128 in flight`,
    figures,
    comparisons: [
      compare("sessiond, gRPC", "better-auth get-session", 25),
      compare("sessiond, gRPC, access noted", "better-auth get-session", 25),
      compare("sessiond, gRPC, JWT issued", "better-auth get-session"),
      compare("sessiond, gRPC", "sessiond, no-op, gRPC"),
      compare("sessiond, gRPC", "pg, one select"),
      ...yardsticks.map((name) => compare("sessiond, gRPC", name)),
    ],
    notes: [
      "bare node:http2, @grpc/grpc-js and connect-node answer a constant",
      "better-auth with its cookie cache off; only where it says so an answer holds a session JWT, signed for the call",
      "access noted: the session was last used long ago, so that the call also writes its access down",
    ],
  };
}
