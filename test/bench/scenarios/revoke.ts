import type { Bench } from "../bench.ts";
import { betterAuthJob } from "../better-auth-job.ts";
import { bareSubject, startBare } from "../bare.ts";
import { constantSubjects, noOpSubject, yardsticks } from "../constants.ts";
import { checkRevoked, keepMortal } from "../data/mortal.ts";
import type { NumberRange } from "../data/numbers.ts";
import { type Result, type Subject, figureOf, measure } from "../figures.ts";
import { Jobs } from "../jobs.ts";
import type { Job } from "../load/job.ts";
import { loadSubject } from "../load-subject.ts";
import { selfCheck } from "../self-check.ts";
import type { Stage } from "../stage.ts";

/** Revocation of distinct sessions, each durable before it is answered. */
export async function revoke(bench: Bench, stage: Stage): Promise<Result> {
  const { load, extent } = bench;
  const { server, stored } = await stage.large();
  const peer = await stage.betterAuth();
  const constants = await stage.constants();
  const bare = await startBare(bench, stored);
  const jobs = new Jobs(server.url, extent);
  const { mortal } = stored;

  const revoking = async (name: string, job: (range: NumberRange) => Job): Promise<Subject> => {
    await selfCheck(job(mortal));
    mortal.use(1);
    return loadSubject(load, {
      name,
      pid: server.pid,
      async job() {
        await keepMortal(bench, stored);
        return job(mortal);
      },
      made: (calls) => mortal.use(calls),
    });
  };
  const subjects = [
    await revoking("sessiond, gRPC", (range) => jobs.revoke(range)),
    await revoking("sessiond, REST (Stytch)", (range) => jobs.revokeRest(range)),
    await revoking("sessiond, Connect JSON", (range) => jobs.revokeConnect(range)),
    noOpSubject(bench, "sessiond, no-op, gRPC", server),
    await betterAuthJob(bench, peer, "revoke-session"),
    bareSubject(bench, bare, "pg, one update", "update", stored),
    bareSubject(bench, bare, "pg, revision, log and update", "revoke", stored),
    ...constantSubjects(bench, constants, yardsticks),
  ];
  const figures = await measure(bench, subjects);
  await bare.stop();
  const revoked = await checkRevoked(bench, stored);

  const compare = (name: string, yardstick: string, atLeast?: number) => ({
    what: `Revoke: ${name} / ${yardstick}`,
    figure: figureOf(figures, name),
    yardstick: figureOf(figures, yardstick),
    aim: atLeast === undefined ? undefined : { atLeast },
  });
  return {
    title: `Revoke by id, distinct sessions of ${stored.count} stored, 128 in flight`,
    figures,
    comparisons: [
      compare("sessiond, gRPC", "better-auth revoke-session", 40),
      compare("sessiond, gRPC", "sessiond, no-op, gRPC", 0.5),
      compare("sessiond, REST (Stytch)", "better-auth revoke-session", 35),
      compare("sessiond, REST (Stytch)", "sessiond, Connect JSON", 0.8),
      compare("sessiond, gRPC", "pg, one update"),
      compare("sessiond, gRPC", "pg, revision, log and update"),
      ...yardsticks.map((name) => compare("sessiond, gRPC", name)),
    ],
    notes: [
      "bare node:http2, @grpc/grpc-js and connect-node answer a constant",
      `the database has a revoked session for each call, ${revoked} at last`,
      "better-auth over HTTP/1.1 with keep-alive, 128 connections, each call by another session of the same user",
    ],
  };
}
