import { execFile, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Bench } from "./bench.ts";
import type { Subject } from "./figures.ts";
import type { Job } from "./load/job.ts";
import { canPin, cores } from "./pin.ts";

/** A figure measured by somebody else. */
export interface CrossCheck {
  /** The name of the figure that it checks. */
  readonly of: string;
  readonly subject: Subject;
}

/**
 * The same job done by a generator that nobody here wrote: `h2load` for gRPC, `wrk` for HTTP/1.1; undefined where it is not
 * installed. Both send constant bytes only, and know nothing of gRPC's status.
 */
export async function crossCheck(bench: Bench, of: string, job: Job): Promise<CrossCheck | undefined> {
  const tool = job.protocol === "grpc" ? "h2load" : "wrk";
  if (spawnSync(tool, ["--version"]).error !== undefined) return undefined;
  const file = join(bench.directory, `${tool}-${of.replaceAll(/\W/g, "-")}`);
  const { seconds } = bench.extent;
  if (tool === "h2load") await writeFile(file, Buffer.from(job.body, "base64"));
  else await writeFile(file, scriptFor(job));
  const args = tool === "h2load" ? h2loadArguments(job, file, seconds) : wrkArguments(job, file, seconds);
  const bound = canPin ? ["taskset", "--cpu-list", String(cores.load), tool, ...args] : [tool, ...args];
  const run = async () => {
    const { stdout } = await promisify(execFile)(bound[0] ?? tool, bound.slice(1));
    const rate = /([\d.]+) req\/s/.exec(stdout)?.[1] ?? /Requests\/sec: +([\d.]+)/.exec(stdout)?.[1];
    if (rate === undefined || /Non-2xx|[1-9]\d* failed|[1-9]\d* errored/.test(stdout)) {
      throw new Error(`${tool} failed: ${stdout}`);
    }
    return { value: Number(rate) };
  };
  return { of, subject: { name: `${of}, by ${tool}`, unit: "calls/s", run } };
}

function h2loadArguments({ url, path, connections, streams }: Job, file: string, seconds: number): string[] {
  const headers = ["content-type: application/grpc+proto", "te: trailers"].flatMap((line) => ["-H", line]);
  const load = ["-c", String(connections), "-m", String(streams), "-t", "1"];
  const time = ["-D", `${seconds * 1000}ms`, "--warm-up-time", "300ms"];
  return [...load, ...time, ...headers, "-d", file, url + path];
}

/** It takes whole seconds only. */
function wrkArguments({ url, path, connections }: Job, file: string, seconds: number): string[] {
  return ["-c", String(connections), "-t", "1", "-d", `${Math.ceil(seconds)}s`, "-s", file, url + path];
}

function scriptFor({ headers, body }: Job): string {
  const lines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  return [
    'wrk.method = "POST"',
    ...lines,
    `wrk.body = ${JSON.stringify(Buffer.from(body, "base64").toString())}`,
  ].join("\n");
}
