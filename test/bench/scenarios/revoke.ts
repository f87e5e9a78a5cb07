import type { Bench } from "../bench.ts";
import { betterAuthSubject } from "../data/better-auth.ts";
import { checkRevoked } from "../data/stored-project.ts";
import { type Result, type Subject, measure, ratiosOf } from "../figures.ts";
import type { Job } from "../load/job.ts";
import { Jobs } from "../load/jobs.ts";
import { selfCheck } from "../load/self-check.ts";
import { bareSubject, startBare } from "../servers/bare.ts";
import { constantSubjects, noOpSubject, yardsticks } from "../servers/constants.ts";
import type { Stage } from "../stage.ts";
import { revoking } from "./subjects.ts";

/** Revocation of distinct sessions. Each is durable before it is answered. */
export async function revoke(bench: Bench, stage: Stage): Promise<Result> {
  const { server, stored } = await stage.large();
  const peer = await stage.betterAuth();
  const constants = await stage.constants();
  const bare = await startBare(bench, stored);
  const jobs = new Jobs(server.url, bench.extent);
  const { mortal } = stored;
  const subject = async (name: string, newJob: () => Job): Promise<Subject> => {
    await selfCheck(newJob());
    mortal.use(1);
    return revoking(bench, stored, { name, jobs, pid: server.pid }, newJob);
  };
  const figures = await measure(bench, [
    await subject("sessiond, gRPC", () => jobs.revoke(mortal)),
    await subject("sessiond, REST (Stytch)", () => jobs.revokeRest(mortal)),
    await subject("sessiond, Connect JSON", () => jobs.revokeConnect(mortal)),
    noOpSubject(bench, "sessiond, no-op, gRPC", server),
    await betterAuthSubject(bench, peer, "revoke-session"),
    bareSubject(bench, bare, "pg, one update", "update", stored),
    bareSubject(bench, bare, "pg, revision, log and update", "revoke", stored),
    ...constantSubjects(bench, constants, yardsticks),
  ]);
  await bare.stop();
  const revoked = await checkRevoked(bench, stored);
  const ratio = ratiosOf(figures, "Revoke");
  return {
    title: `Revoke by id, distinct sessions of ${stored.count} stored, 128 in flight`,
    figures,
    comparisons: [
      ...ratio("sessiond, gRPC", "better-auth revoke-session", 40),
      ...ratio("sessiond, gRPC", "sessiond, no-op, gRPC", 0.5),
      ...ratio("sessiond, REST (Stytch)", "better-auth revoke-session", 35),
      ...ratio("sessiond, REST (Stytch)", "sessiond, Connect JSON", 0.8),
      ...ratio("sessiond, gRPC", "pg, one update"),
      ...ratio("sessiond, gRPC", "pg, revision, log and update"),
      ...yardsticks.flatMap((name) => ratio("sessiond, gRPC", name)),
    ],
    notes: [
      "bare node:http2, @grpc/grpc-js and connect-node answer a constant",
      `the database has a revoked session for each call, ${revoked} in the end`,
      "better-auth on 128 HTTP/1.1 connections, each call by another session of the same user; sessiond on 8 HTTP/2 connections",
    ],
  };
}
