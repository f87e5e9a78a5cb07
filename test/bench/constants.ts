import type { Bench } from "./bench.ts";
import type { Subject } from "./figures.ts";
import { loadSubject } from "./load-subject.ts";
import type { Job } from "./load/job.ts";
import { cores } from "./pin.ts";
import type { BenchProcess } from "./processes.ts";
import { selfCheck } from "./self-check.ts";
import { noOpAnswerFrame, noOpPath, noOpRequest, noOpRequestFrame } from "./servers/no-op.ts";

/** Who answers every call with the same bytes: the file of the server and its arguments. */
const servers = {
  "bare node:http2, stream API": ["servers/bare-http2.ts", "stream"],
  "bare node:http2, compat API": ["servers/bare-http2.ts", "compat"],
  "@grpc/grpc-js": ["servers/grpc-js.ts"],
  "connect-node": ["servers/connect-node.ts"],
} as const;

/** The name of a server that answers a constant. */
export type ConstantName = keyof typeof servers;

/** Those that stand beside calls that do something. */
export const yardsticks = ["bare node:http2, stream API", "@grpc/grpc-js", "connect-node"] as const;

/** Servers that answer a constant. */
export type Constants = ReadonlyMap<ConstantName, BenchProcess & { readonly url: string }>;

/** All their names. */
export const constantNames = Object.keys(servers) as readonly ConstantName[];

/** Starts them all. */
export async function startConstants(bench: Bench): Promise<Constants> {
  const constants = new Map<ConstantName, BenchProcess & { readonly url: string }>();
  for (const name of constantNames) {
    const [file, ...args] = servers[name];
    const server = await bench.processes.startServer(file, { args, core: cores.server });
    await selfCheck(noOpJob(bench, server.url));
    constants.set(name, server);
  }
  return constants;
}

/** Some of them, under load. */
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

/** The no-op of a server, under load. */
export function noOpSubject(
  bench: Bench,
  name: string,
  { url, pid }: { readonly url: string; readonly pid: number },
): Subject {
  return loadSubject(bench.load, { name, pid, job: () => noOpJob(bench, url) });
}

/** The no-op over gRPC, 128 in flight. */
export function noOpJob({ extent }: Bench, url: string): Job {
  return {
    url,
    protocol: "grpc",
    connections: 8,
    streams: 16,
    path: noOpPath,
    headers: {},
    body: noOpRequestFrame.toString("base64"),
    expect: noOpAnswerFrame.toString("latin1"),
    until: { seconds: extent.seconds },
    warmUpSeconds: extent.warmUpSeconds,
  };
}

/** The no-op as JSON over HTTP/1.1, 128 in flight. */
export function noOpJsonJob(bench: Bench, url: string): Job {
  return {
    ...noOpJob(bench, url),
    protocol: "http1",
    connections: 128,
    streams: 1,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ service: noOpRequest.service })).toString("base64"),
    expect: "SERVING",
  };
}
