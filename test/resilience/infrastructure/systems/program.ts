import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { command } from "../../../../src/embedded-postgres/run-as.ts";
import type { Place } from "./place.ts";

/** A program that runs in the foreground until it is killed. It ends with this process. */
export class Program {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #lines: string[] = [];
  #hasEnded = false;

  constructor(place: Place, program: string, args: readonly string[], environment = {}) {
    const { file, args: all, options } = command(place.runAs, program, args);
    this.#name = program;
    const child = spawn(file, all, {
      ...options,
      env: { ...options.env, ...environment },
      cwd: place.directory,
      // Ctrl-C reaches this process only, which kills the program.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const kill = () => child.kill("SIGKILL");
    process.on("exit", kill);
    this.#ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve)).then(() => {
      this.#hasEnded = true;
      process.off("exit", kill);
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.#lines.push(line);
        if (this.#lines.length > 200) this.#lines.shift();
      });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last lines that it printed. */
  get output(): string {
    return this.#lines.slice(-20).join("\n");
  }

  /** Resolves when it has ended. Its children may hold its output open. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  /** Waits until `condition` holds. Throws if the program ends first or time is up. */
  async until(condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    for (const end = Date.now() + timeoutMs; !(await condition()); await delay(50)) {
      if (this.#hasEnded) throw new Error(`${this.#name} ended:\n${this.output}`);
      if (Date.now() > end) throw new Error(`${this.#name} is not ready:\n${this.output}`);
    }
  }

  listensOn(port: number): Promise<void> {
    return this.until(() => acceptsConnections(port));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to end, also if it is frozen; kills it after 10 seconds. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    this.#child.kill("SIGCONT");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

async function acceptsConnections(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Processes whose parent is this one. */
export function childrenOf(parent: number): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    return parentOf(Number(name)) === parent ? [Number(name)] : [];
  });
}

function parentOf(pid: number): number | undefined {
  try {
    // The second field is the command in parentheses and may contain anything.
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** Sends a signal to processes that may have ended. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }
}
