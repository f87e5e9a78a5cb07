import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { keepSaid } from "../../../support/output/output.ts";

/** A process of this test's own, that ends with it. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Resolves when it is gone. */
  readonly ended: Promise<unknown>;
  /** What it wrote to standard error, its last lines. */
  readonly complaints: readonly string[];
  /** The first match of a line of standard output; rejects, with its complaints, when it ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ends it at once and for sure, even where it is stopped; resolves when it is gone. */
  kill(): Promise<void>;
}

const preload = new URL("end-with-parent.ts", import.meta.url).href;

/** Runs a TypeScript file, given from the root of the project, on this Node. */
export function startChild(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Child {
  const child = fork(file, args, {
    cwd: new URL("../../../..", import.meta.url),
    execArgv: ["--import", preload],
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "advanced",
  });
  const ended = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  const complaints: string[] = [];
  if (child.stdout === null || child.stderr === null) throw new Error("the child has no standard output");
  const output = createInterface({ input: child.stdout });
  createInterface({ input: child.stderr }).on("line", (line) => {
    keepSaid(`standard error of ${file}`, line);
    complaints.push(line);
    if (complaints.length > 200) complaints.shift();
  });
  return {
    process: child,
    pid: child.pid ?? 0,
    ended,
    complaints,
    async said(pattern) {
      const over = ended.then(() => undefined);
      for (;;) {
        const line = await Promise.race([once(output, "line"), over]);
        if (line === undefined) throw new Error(`${file} ended: ${complaints.slice(-5).join("\n")}`);
        const match = pattern.exec(String(line[0]));
        if (match !== null) return match;
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
