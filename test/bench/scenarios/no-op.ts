import type { Bench } from "../bench.ts";
import { type Result, compare, measure } from "../figures.ts";
import { constantNames, constantSubjects, jwksSubject, noOpSubject } from "../servers/constants.ts";
import { startSessiond } from "../sessiond.ts";
import type { Stage } from "../stage.ts";

/** Calls without database: through this server, and through what others would build it on. */
export async function noOp(bench: Bench, stage: Stage): Promise<Result> {
  const constants = await stage.constants();
  const sessiond = await startSessiond(bench, "postgres", { preload: "servers/constant-jwks.ts" });
  const figures = await measure(bench, [
    noOpSubject(bench, "sessiond", sessiond),
    ...constantSubjects(bench, constants, constantNames),
    jwksSubject(bench, "sessiond, REST", sessiond, "rest"),
    jwksSubject(bench, "sessiond, Connect JSON", sessiond, "connect"),
  ]);
  await sessiond.stop();
  return {
    title: "No-op unary call, 128 in flight",
    figures,
    comparisons: [
      ...constantNames.flatMap((name) =>
        compare(figures, {
          what: `no-op, gRPC: sessiond / ${name}`,
          figure: "sessiond",
          yardstick: name,
          aim: name === "@grpc/grpc-js" ? { atLeast: 1.1 } : undefined,
        }),
      ),
      ...compare(figures, {
        what: "no-op: sessiond, REST / sessiond, Connect JSON",
        figure: "sessiond, REST",
        yardstick: "sessiond, Connect JSON",
        aim: { atLeast: 0.9 },
      }),
    ],
    notes: [
      "sessiond with its gate, interceptors, limits and log; @grpc/grpc-js with the codec of sessiond/grpc",
      "gRPC: Health/Check on 8 connections; REST and Connect JSON: GetJwks with a constant answer on 128",
    ],
  };
}
