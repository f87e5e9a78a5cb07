import { execFile, spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { canPin, cores } from "../machine.ts";
import type { Job, Report } from "./job.ts";
import { percentiles } from "./tally.ts";

/** Whether h2load (Debian package nghttp2-client) is installed. */
export const hasH2load: boolean = spawnSync("h2load", ["--version"]).error === undefined;

/**
 * Does a job whose calls are all equal. h2load knows no gRPC status, so the size of what was received is compared with that of
 * a correct answer: an error carries another message or none.
 */
export async function runH2load(job: Job, answerBytes: number, directory: string): Promise<Report> {
  const body = join(directory, "h2load-body");
  const log = join(directory, "h2load-log");
  await writeFile(body, job.body);
  const grpc = job.protocol === "grpc" ? { "content-type": "application/grpc+proto", te: "trailers" } : {};
  const args = [
    ...(job.protocol === "http1" ? ["--h1"] : []),
    "-t1",
    `-c${job.connections}`,
    `-m${job.streams}`,
    `--log-file=${log}`,
    ...("seconds" in job.until ? ["-D", `${job.until.seconds * 1000}ms`] : ["-n", String(job.until.calls)]),
    ...Object.entries({ ...grpc, ...job.headers }).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
    ...(job.method === "GET" ? [] : ["-d", body]),
    job.url + job.path,
  ];
  await writeFile(log, "");
  const command = canPin ? ["taskset", "--cpu-list", String(cores.load), "h2load"] : ["h2load"];
  const { stdout } = await promisify(execFile)(command[0] ?? "", [...command.slice(1), ...args]);
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]);
  const done = number(/ (\d+) done/);
  const succeeded = number(/ (\d+) succeeded/);
  const received = number(/\((\d+)\) data/);
  if (!(done > 0) || succeeded !== done || /[1-9]\d* (failed|errored|timeout|[345]xx)/.test(stdout)) {
    throw new Error(`h2load failed: ${stdout}`);
  }
  // Answers to calls in flight at the end of a timed job are received but not counted as done.
  const most = "seconds" in job.until ? done + job.connections * job.streams : done;
  if (received < done * answerBytes || received > most * answerBytes) {
    throw new Error(
      `${done} answers of ${answerBytes} bytes came to ${received} bytes: ${job.url}${job.path}`,
    );
  }
  const lines = (await readFile(log, "latin1")).trim().split("\n");
  return {
    perSecond: number(/([\d.]+) req\/s/),
    outcomes: { ok: done },
    latency: percentiles(lines.map((line) => Number(line.split("\t")[2]) / 1000)),
    made: done,
  };
}
