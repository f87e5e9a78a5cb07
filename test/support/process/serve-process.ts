import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, onTestFinished, vi } from "vitest";
import { recordOutput } from "../output/output.ts";
import { patience } from "../patience.ts";

/** `sessiond serve` in a process of its own. */
export interface ServeProcess {
  readonly pid: number;
  /** What it has printed so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with its port when it says that it listens; rejects when it ends before. */
  readonly listening: Promise<number>;
  /** Resolves with its exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  signal(signal: NodeJS.Signals): void;
}

/** Spares all processes of a file but the first half of their start, which is compiling. */
const compileCache = mkdtempSync(join(tmpdir(), "sessiond-compiled-"));
afterAll(() => rm(compileCache, { recursive: true, force: true }));

/** Starts the command with this environment and nothing of the test's own but PATH; ends it with the test. */
export function serveProcess(
  environment: Readonly<Record<string, string>>,
  cwd = process.cwd(),
  command = resolve("src/cli/main.ts"),
): ServeProcess {
  const child = spawn(process.execPath, [command, "serve"], {
    cwd,
    env: {
      PATH: process.env["PATH"],
      NODE_COMPILE_CACHE: compileCache,
      SESSIOND_LISTEN: "127.0.0.1:0",
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  void once(child, "close").then(() => recordOutput("standard error of serve", text.stderr));
  const ended = once(child, "close").then(
    ([status, signal]: (number | NodeJS.Signals | null)[]) => status ?? signal ?? 0,
  );
  const listening = new Promise<number>((found, failed) => {
    child.stdout.on("data", () => {
      const [, port] = /listens on https?:\/\/\S+:(\d+) /.exec(text.stdout) ?? [];
      if (port !== undefined) found(Number(port));
    });
    void ended.then((status) => failed(new Error(`it ended with ${status}: ${text.stderr}`)));
  });
  listening.catch(() => undefined);
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    listening,
    ended,
    signal: (signal) => void child.kill(signal),
  };
}

/** A line of the log of a service with workers. */
export interface WorkerLine {
  readonly pid: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What such a service has logged so far: whole lines. */
export function linesOf(service: ServeProcess): readonly WorkerLine[] {
  const whole = service.stderr().split("\n").slice(0, -1);
  return whole.filter((line) => line.startsWith("{")).map((line): WorkerLine => JSON.parse(line));
}

/** Waits until it has logged `count` lines with this message, by whichever process; returns those. */
export async function logged(
  service: ServeProcess,
  msg: string,
  count = 1,
): Promise<readonly [WorkerLine, ...WorkerLine[]]> {
  const found = () => linesOf(service).filter((line) => line.msg === msg);
  await vi.waitUntil(() => found().length >= count, patience);
  const [first, ...others] = found();
  if (first === undefined) throw new Error(`nothing to wait for: ${count} lines`);
  return [first, ...others];
}

/** Waits until the call of this request id was logged; returns the pid of the worker that answered it. */
export async function answeredBy(service: ServeProcess, requestId: string): Promise<number> {
  const found = () => linesOf(service).find((line) => line["request_id"] === requestId);
  await vi.waitUntil(() => found() !== undefined, patience);
  return found()?.pid ?? 0;
}
