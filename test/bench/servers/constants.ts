import type { Bench } from "../bench.ts";
import type { Subject } from "../figures.ts";
import type { Job } from "../load/job.ts";
import { loadSubject } from "../load/load.ts";
import { cores } from "../machine.ts";
import type { BenchServer } from "../processes.ts";
import { noOpAnswerFrame, noOpPath, noOpRequestFrame } from "./no-op.ts";

/** Servers that answer every call with the same bytes, with their argument of constant-server.ts. */
const servers = {
  "bare node:http2, stream API": "stream",
  "bare node:http2, compat API": "compat",
  "@grpc/grpc-js": "grpc-js",
  "connect-node": "connect-node",
} as const;

type ConstantName = keyof typeof servers;

export const constantNames = Object.keys(servers) as readonly ConstantName[];

/** Those that calls with work are compared with. */
export const yardsticks = ["bare node:http2, stream API", "@grpc/grpc-js", "connect-node"] as const;

export type Constants = ReadonlyMap<ConstantName, BenchServer>;

export async function startConstants(
  bench: Bench,
  names: readonly ConstantName[] = constantNames,
): Promise<Constants> {
  const constants = new Map<ConstantName, BenchServer>();
  for (const name of names) {
    const options = { args: [servers[name]], core: cores.server };
    constants.set(name, await bench.processes.startServer("servers/constant-server.ts", options));
  }
  return constants;
}

export function constantSubjects(
  bench: Bench,
  constants: Constants,
  names: readonly ConstantName[],
): Subject[] {
  return names.flatMap((name) => {
    const server = constants.get(name);
    return server === undefined ? [] : [noOpSubject(bench, name, server)];
  });
}

export function noOpSubject(bench: Bench, name: string, { url, pid }: BenchServer): Subject {
  return loadSubject(bench.load, { name, pid, job: noOpJob(bench, url) });
}

export function noOpJob({ extent }: Bench, url: string): Job {
  return {
    url,
    protocol: "grpc",
    connections: 8,
    streams: 16,
    path: noOpPath,
    method: "POST",
    headers: {},
    body: noOpRequestFrame,
    expect: noOpAnswerFrame.toString("latin1"),
    until: { seconds: extent.seconds },
  };
}

/**
 * GetJwks of a server preloaded with constant-jwks.ts: the no-op that REST and Connect share. HTTP/1.1, 128 connections.
 */
export function jwksSubject(
  bench: Bench,
  name: string,
  { url, pid }: BenchServer,
  protocol: "rest" | "connect",
): Subject {
  const call =
    protocol === "rest"
      ? { method: "GET", path: "/session/v1/projects/bench/jwks", headers: {}, body: Buffer.alloc(0) }
      : {
          method: "POST",
          path: "/session.v1.ProjectService/GetJwks",
          headers: { "content-type": "application/json" },
          body: Buffer.from('{"projectId":"bench"}'),
        };
  const job = {
    ...noOpJob(bench, url),
    ...(call as Pick<Job, "method" | "path" | "headers" | "body">),
    protocol: "http1",
    connections: 128,
    streams: 1,
    expect: '"kid":"no-op"',
  } as const;
  return loadSubject(bench.load, { name, pid, job });
}
