import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync, readFileSync, truncateSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endWithParent } from "../support/process/child.ts";
import { pin } from "./machine.ts";

export interface BenchProcess {
  readonly pid: number;
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  lastErrors(): string;
  /** Resolves with its next message over IPC; rejects if it ends first. */
  next<Message>(): Promise<Message>;
  stop(): Promise<void>;
}

export interface BenchServer extends BenchProcess {
  readonly url: string;
  /** What it printed up to its address. */
  readonly output: readonly string[];
}

export interface ProcessOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly core?: number | undefined;
  /** Module of this folder to load first. */
  readonly preload?: string;
}

/** Starts processes that log their standard error to files. */
export class Processes {
  readonly #directory: string;
  readonly #running: BenchProcess[] = [];
  readonly #logs: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Runs a module, by default of this folder. */
  start(file: string | URL, { args = [], environment = {}, core, preload }: ProcessOptions): BenchProcess {
    const log = join(this.#directory, `${this.#logs.length}.log`);
    this.#logs.push(log);
    const stderr = openSync(log, "a");
    const child = fork(new URL(file, import.meta.url), args, {
      cwd: new URL("../..", import.meta.url),
      serialization: "advanced",
      execArgv: [
        endWithParent,
        ...(preload === undefined ? [] : [new URL(preload, import.meta.url).href]),
      ].flatMap((url) => ["--import", url]),
      env: { PATH: process.env["PATH"], NODE_ENV: "production", ...environment },
      stdio: ["ignore", "pipe", stderr, "ipc"],
    });
    closeSync(stderr);
    if (core !== undefined && child.pid !== undefined) pin(child.pid, core);
    const ended = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
    const running: BenchProcess = {
      pid: child.pid ?? 0,
      process: child,
      ended,
      lastErrors: () => readFileSync(log, "utf8").trim().split("\n").slice(-5).join("\n"),
      async next() {
        const [message] = await Promise.race([once(child, "message"), ended.then(() => [])]);
        if (message === undefined) throw new Error(`${String(file)} ended: ${running.lastErrors()}`);
        return message;
      },
      async stop() {
        child.kill("SIGTERM");
        await ended;
      },
    };
    this.#running.push(running);
    return running;
  }

  /** Starts a server and waits until it prints its address. */
  async startServer(file: string | URL, options: ProcessOptions): Promise<BenchServer> {
    const server = this.start(file, options);
    const { stdout } = server.process;
    if (stdout === null) throw new Error("the server has no standard output");
    const lines = createInterface({ input: stdout });
    const output: string[] = [];
    const ended = server.ended.then(() => undefined);
    for (;;) {
      const line = await Promise.race([once(lines, "line"), ended]);
      if (line === undefined) throw new Error(`${String(file)} ended: ${server.lastErrors()}`);
      output.push(String(line[0]));
      const url = /(?:listens|listening) on (http:\/\/\S+:\d+)/.exec(String(line[0]))?.[1];
      if (url !== undefined) return { ...server, url, output };
    }
  }

  /** Empties the log files: calls are logged. */
  emptyLogs(): void {
    for (const log of this.#logs) truncateSync(log);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((running) => running.stop()));
  }
}
