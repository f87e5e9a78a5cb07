import type { Bench } from "../bench.ts";
import {
  type ConstantName,
  constantNames,
  constantSubjects,
  noOpJob,
  noOpJsonJob,
  noOpSubject,
} from "../constants.ts";
import { crossCheck } from "../cross-check.ts";
import { type Result, figureOf, measure } from "../figures.ts";
import { loadSubject } from "../load-subject.ts";
import { selfCheck } from "../self-check.ts";
import { startSessiond } from "../sessiond.ts";
import type { Stage } from "../stage.ts";

/** What this server is to reach beside another. */
const aims: Partial<Record<ConstantName, { readonly atLeast: number }>> = {
  "@grpc/grpc-js": { atLeast: 1.1 },
};

/** A call that does nothing, through this server and through what others would build it on. */
export async function noOp(bench: Bench, stage: Stage): Promise<Result> {
  const constants = await stage.constants();
  const sessiond = await startSessiond(bench, "postgres");
  const json = noOpJsonJob(bench, sessiond.url);
  await selfCheck(noOpJob(bench, sessiond.url));
  await selfCheck(json);
  const checks = await Promise.all([
    ...(["bare node:http2, stream API", "@grpc/grpc-js"] as const).map((name) =>
      crossCheck(bench, name, noOpJob(bench, constants.get(name)?.url ?? "")),
    ),
    crossCheck(bench, "sessiond", noOpJob(bench, sessiond.url)),
    crossCheck(bench, "sessiond, Connect JSON", json),
  ]);
  const made = checks.filter((check) => check !== undefined);
  const figures = await measure(bench, [
    noOpSubject(bench, "sessiond", sessiond),
    ...constantSubjects(bench, constants, constantNames),
    loadSubject(bench.load, { name: "sessiond, Connect JSON", pid: sessiond.pid, job: () => json }),
    ...made.map(({ subject }) => subject),
  ]);
  await sessiond.stop();
  return {
    title: "No-op unary call over gRPC, 8 connections with 16 in flight each",
    figures,
    comparisons: [
      ...constantNames.map((name) => ({
        what: `no-op, gRPC: sessiond / ${name}`,
        figure: figureOf(figures, "sessiond"),
        yardstick: figureOf(figures, name),
        aim: aims[name],
      })),
      ...made.map(({ of, subject }) => ({
        what: `generator: ${of} / ${subject.name}`,
        figure: figureOf(figures, of),
        yardstick: figureOf(figures, subject.name),
      })),
    ],
    notes: [
      "sessiond with its gate, interceptors, limits and log; @grpc/grpc-js with the codec of sessiond/grpc",
      "Connect JSON over HTTP/1.1, 128 connections",
    ],
  };
}
