import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync, readFileSync, truncateSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pin } from "./pin.ts";
import { endWithParent } from "../support/process/child.ts";

/** A process of the bench. */
export interface BenchProcess {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Resolves when it is gone. */
  readonly ended: Promise<unknown>;
  /** The last that it wrote to standard error. */
  complaint(): string;
  /** Ends it as an operator would; resolves when it is gone. */
  stop(): Promise<void>;
}

/** How to start a process. */
export interface ProcessOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The core that it is bound to; any where undefined. */
  readonly core?: number | undefined;
  /** A file of this folder that it loads first. */
  readonly preload?: string;
}

/** Starts processes whose standard error goes into files of one folder. */
export class Processes {
  readonly #directory: string;
  readonly #running: BenchProcess[] = [];
  readonly #logs: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Runs a TypeScript file of this folder, or of the project when the path begins with "src/". */
  start(file: string, { args = [], environment = {}, core, preload }: ProcessOptions): BenchProcess {
    const log = join(this.#directory, `${this.#logs.length}.log`);
    this.#logs.push(log);
    const stderr = openSync(log, "a");
    const root = new URL("../..", import.meta.url);
    const child = fork(new URL(file.startsWith("src/") ? file : `test/bench/${file}`, root), args, {
      cwd: root,
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
      complaint: () => readFileSync(log, "utf8").trim().split("\n").slice(-5).join("\n"),
      async stop() {
        child.kill("SIGTERM");
        await ended;
      },
    };
    this.#running.push(running);
    return running;
  }

  /** Starts a server, and resolves with its address when it says that it listens. */
  async startServer(file: string, options: ProcessOptions): Promise<BenchProcess & { readonly url: string }> {
    const server = this.start(file, options);
    const { stdout } = server.process;
    if (stdout === null) throw new Error("the server has no standard output");
    const lines = createInterface({ input: stdout });
    const over = server.ended.then(() => undefined);
    for (;;) {
      const line = await Promise.race([once(lines, "line"), over]);
      if (line === undefined) throw new Error(`${file} ended: ${server.complaint()}`);
      const url = /listens on (http:\/\/\S+:\d+)/.exec(String(line[0]))?.[1];
      if (url !== undefined) return { ...server, url };
    }
  }

  /** Throws away what has been logged: it may be much. */
  emptyLogs(): void {
    for (const log of this.#logs) truncateSync(log);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((running) => running.stop()));
  }
}
