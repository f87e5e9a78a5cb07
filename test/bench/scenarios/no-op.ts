import type { Bench } from "../bench.ts";
import { crossCheck } from "../cross-check.ts";
import { type Result, figureOf, measure } from "../figures.ts";
import type { Job } from "../load/job.ts";
import { loadSubject } from "../load-subject.ts";
import { cores } from "../pin.ts";
import { selfCheck } from "../self-check.ts";
import { startSessiond } from "../sessiond.ts";
import { noOpPath, noOpRequest, noOpRequestFrame } from "../servers/no-op.ts";

/** Who answers the no-op: the file of the server and its arguments. */
const peers = {
  "bare node:http2, stream API": ["servers/bare-http2.ts", "stream"],
  "bare node:http2, compat API": ["servers/bare-http2.ts", "compat"],
  "@grpc/grpc-js": ["servers/grpc-js.ts"],
  "connect-node": ["servers/connect-node.ts"],
} as const;

/** A unary gRPC call that does nothing, through this server and through what others would build it on. */
export async function noOp(bench: Bench): Promise<Result> {
  const { processes, load, extent } = bench;
  const servers = new Map([["sessiond", await startSessiond(bench, "postgres", { withNoOp: true })]]);
  for (const [name, [file, ...args]] of Object.entries(peers))
    servers.set(name, await processes.startServer(file, { args, core: cores.server }));
  const subjects = [];
  for (const [name, { url, pid }] of servers) {
    await selfCheck(noOpJob(bench, url));
    subjects.push(loadSubject(load, { name, pid, job: () => noOpJob(bench, url) }));
  }
  const json = noOpJsonJob(bench, servers.get("sessiond")?.url ?? "");
  await selfCheck(json);
  subjects.push(loadSubject(load, { name: "sessiond, Connect JSON", job: () => json }));
  const checked = [];
  for (const [name, job] of [
    ...["bare node:http2, stream API", "@grpc/grpc-js", "sessiond"].map(
      (name) => [name, noOpJob(bench, servers.get(name)?.url ?? "")] as const,
    ),
    ["sessiond, Connect JSON", json] as const,
  ]) {
    const other = await crossCheck(bench, name, job);
    if (other !== undefined) checked.push({ name, other });
  }
  subjects.push(...checked.map(({ other }) => other));
  const figures = await measure(subjects, extent.rounds);
  for (const server of servers.values()) await server.stop();
  const compare = (yardstick: string, aim?: { readonly atLeast: number }) => ({
    what: `no-op, gRPC: sessiond / ${yardstick}`,
    figure: figureOf(figures, "sessiond"),
    yardstick: figureOf(figures, yardstick),
    aim,
  });
  return {
    title: "No-op unary call over gRPC, 8 connections with 16 in flight each",
    figures,
    comparisons: [
      ...Object.keys(peers).map((name) =>
        compare(name, name === "@grpc/grpc-js" ? { atLeast: 1.1 } : undefined),
      ),
      ...checked.map(({ name, other }) => ({
        what: `generator: ${name} / ${other.name}`,
        figure: figureOf(figures, name),
        yardstick: figureOf(figures, other.name),
      })),
    ],
    notes: [
      "sessiond with its gate, interceptors, limits and log; @grpc/grpc-js with the codec of sessiond/grpc",
    ],
  };
}

/** The no-op, 128 in flight. */
export function noOpJob({ extent }: Bench, url: string): Job {
  return {
    url,
    protocol: "grpc",
    connections: 8,
    streams: 16,
    path: noOpPath,
    headers: {},
    body: noOpRequestFrame.toString("base64"),
    expect: "a".repeat(36),
    until: { seconds: extent.seconds },
    warmUpSeconds: extent.warmUpSeconds,
  };
}

/** The no-op as JSON over HTTP/1.1, 128 in flight. */
function noOpJsonJob({ extent }: Bench, url: string): Job {
  return {
    url,
    protocol: "http1",
    connections: 128,
    streams: 1,
    path: noOpPath,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ name: noOpRequest.name })).toString("base64"),
    expect: "a".repeat(36),
    until: { seconds: extent.seconds },
    warmUpSeconds: extent.warmUpSeconds,
  };
}
