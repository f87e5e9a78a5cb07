import { resolve } from "node:path";
import { vi } from "vitest";
import { patience } from "../patience.ts";
import { childEnvironment } from "./child.ts";
import { type StartedProcess, startNode } from "./command.ts";

/** `sessiond serve` in its own process. */
export interface ServeProcess extends StartedProcess {
  /** Resolves with the port when the service listens; rejects if the process ends first. */
  readonly listening: Promise<number>;
}

/** Starts the command with only this environment and PATH. Ends it with the test. */
export function serveProcess(
  environment: Readonly<Record<string, string>>,
  cwd = process.cwd(),
  command = resolve("src/cli/main.ts"),
): ServeProcess {
  const env = childEnvironment({ SESSIOND_LISTEN: "127.0.0.1:0", ...environment });
  const started = startNode([command, "serve"], { cwd, env, endSignal: "SIGTERM" });
  const portOf = () => /listens on https?:\/\/\S+:(\d+) /.exec(started.stdout())?.[1];
  let problem: string | undefined;
  void started.ended.then((status) => (problem = `it ended with ${status}: ${started.stderr()}`));
  const listening = vi
    .waitUntil(() => portOf() !== undefined || problem !== undefined, { ...patience, timeout: 60_000 })
    .then(() => {
      const port = portOf();
      if (port === undefined) throw new Error(problem);
      return Number(port);
    });
  listening.catch(() => undefined);
  return { ...started, listening };
}

export interface WorkerLine {
  readonly pid: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export function linesOf(service: ServeProcess): readonly WorkerLine[] {
  const whole = service.stderr().split("\n").slice(0, -1);
  return whole.filter((line) => line.startsWith("{")).map((line): WorkerLine => JSON.parse(line));
}

/** Waits until `count` lines with this message were logged, by any process; returns them. */
export async function logged(
  service: ServeProcess,
  msg: string,
  count = 1,
): Promise<readonly [WorkerLine, ...WorkerLine[]]> {
  const found = () => linesOf(service).filter((line) => line.msg === msg);
  await vi.waitUntil(() => found().length >= count, patience);
  const [first, ...others] = found();
  if (first === undefined) throw new Error(`count must be positive: ${count}`);
  return [first, ...others];
}

/** Waits for the log line of this request; returns the pid of the worker that answered it. */
export async function answeredBy(service: ServeProcess, requestId: string): Promise<number> {
  const found = () => linesOf(service).find((line) => line["request_id"] === requestId);
  await vi.waitUntil(() => found() !== undefined, patience);
  return found()?.pid ?? 0;
}
