import { type ChildProcess, fork } from "node:child_process";
import { type EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { recordOutput } from "../output/output.ts";

/** A child process that ends with its parent. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<unknown>;
  readonly errorLines: readonly string[];
  /** Resolves with the first match in a line of standard output. Rejects with the last errors if the process ends. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves with the next message over IPC. Rejects with the last errors if the process ends. */
  message<Message>(): Promise<Message>;
  /** Stops the process for a time (SIGSTOP, SIGCONT). Its connections stay open. */
  freeze(): void;
  thaw(): void;
  /** Sends SIGKILL, which also ends a stopped process; waits for the end. */
  kill(): Promise<void>;
}

/**
 * Environment of a child process: PATH, a compile cache, and `environment`; nothing else of this process. The cache is shared by all
 * runs. It halves the start time of `sessiond`.
 */
export function childEnvironment(environment: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache, ...environment };
}

const compileCache = fileURLToPath(new URL("../../../node_modules/.cache/sessiond-tests", import.meta.url));

/** For Node's `--import`: ends a forked process when its parent is gone. */
export const endWithParent = `data:text/javascript,${encodeURIComponent(
  `process.on("disconnect", () => process.exit(1)); process.channel?.unref();`,
)}`;

/** Runs a TypeScript file, named relative to the project's root, with this Node. */
export function startChild(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Child {
  const child = fork(file, args, {
    cwd: new URL("../../..", import.meta.url),
    execArgv: ["--import", endWithParent],
    env: childEnvironment(environment),
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "advanced",
  });
  const ended = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  const errorLines: string[] = [];
  if (child.stdout === null || child.stderr === null) throw new Error("the child has no standard output");
  const output = createInterface({ input: child.stdout });
  createInterface({ input: child.stderr }).on("line", (line) => {
    recordOutput(`standard error of ${file}`, line);
    errorLines.push(line);
    if (errorLines.length > 200) errorLines.shift();
  });
  const over = ended.then(() => []);
  const next = async (source: EventEmitter, event: string) => {
    const [value] = await Promise.race([once(source, event), over]);
    if (value === undefined) throw new Error(`${file} ended: ${errorLines.slice(-5).join("\n")}`);
    return value;
  };
  return {
    process: child,
    pid: child.pid ?? 0,
    ended,
    errorLines,
    async printed(pattern) {
      for (;;) {
        const match = pattern.exec(await next(output, "line"));
        if (match !== null) return match;
      }
    },
    message: () => next(child, "message"),
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
