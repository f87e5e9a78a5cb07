import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { totalmem } from "node:os";
import { createInterface } from "node:readline";
import type { Binaries } from "./binaries.ts";
import { type RunAs, command } from "./run-as.ts";

export interface PostmasterSettings {
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  readonly dataDirectory: string;
  readonly port: number;
  /** False trades crash safety for speed; for tests only. */
  readonly durable: boolean;
  readonly maxConnections: number;
  /** A pid that PostgreSQL finds in postmaster.pid and must ignore. */
  readonly ignorePid: number | undefined;
  readonly log: (line: string) => void;
}

/** PostgreSQL's main process, ready for connections. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves with the cause when it has ended. */
  readonly ended: Promise<string>;
  /** Shuts it down; PostgreSQL rolls back open transactions. Resolves when it has ended. */
  end(): Promise<void>;
}

/** A postmaster did not become ready. `transient`: another attempt, on another port, may succeed. */
export class PostmasterFailure extends Error {
  override readonly name = "PostmasterFailure";
  readonly transient: boolean;

  constructor(message: string, transient: boolean) {
    super(message);
    this.transient = transient;
  }
}

/** Longest recovery after a crash. */
const readyTimeoutMs = 10 * 60_000;

/**
 * Starts PostgreSQL and waits until it accepts connections. It is detached, so that Ctrl-C in a terminal reaches only this
 * process, which stops PostgreSQL after its own drain or when it exits. Throws PostmasterFailure; also when the signal is aborted.
 */
export async function startPostmaster(
  settings: PostmasterSettings,
  signal: AbortSignal,
): Promise<Postmaster> {
  const { file, args, options } = command(settings.runAs, settings.binaries.postgres, [
    "-D",
    settings.dataDirectory,
    ...serverOptions(settings).flatMap((option) => ["-c", option]),
  ]);
  // PostgreSQL ignores the pid of its "grandparent" in postmaster.pid, which this variable sets.
  const grandparent = settings.ignorePid === undefined ? {} : { PG_GRANDPARENT_PID: `${settings.ignorePid}` };
  const child = spawn(file, args, {
    ...options,
    env: { ...options.env, ...grandparent },
    cwd: "/",
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = watchEnd(child);
  const recent: string[] = [];
  const ready = new Promise<"ready">((resolve) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      recent.splice(0, recent.length - 9, line);
      settings.log(line);
      if (/database system is ready to accept (read-only )?connections/.test(line)) resolve("ready");
    });
  });
  const stopped = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)]);
  const aborted = stopped.aborted ? "aborted" : once(stopped, "abort");
  const first = await Promise.race([ready, ended, aborted]);
  if (first === "ready" && child.pid !== undefined) {
    return { pid: child.pid, ended, end: () => end(child, ended) };
  }
  await end(child, ended);
  const why = stopped.aborted ? "it was stopped, or was not ready in time" : String(first);
  const output = recent.join("\n");
  const message = `PostgreSQL did not start on ${settings.dataDirectory}: ${why}\n${output}`;
  throw new PostmasterFailure(message, transientFailure.test(output));
}

function serverOptions(settings: PostmasterSettings): string[] {
  const onOff = settings.durable ? "on" : "off";
  return [
    "listen_addresses=127.0.0.1",
    `port=${settings.port}`,
    "unix_socket_directories=",
    `max_connections=${settings.maxConnections}`,
    ...(settings.durable ? [`shared_buffers=${sharedBuffers()}MB`] : []),
    `fsync=${onOff}`,
    `synchronous_commit=${onOff}`,
    `full_page_writes=${onOff}`,
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=",
    "log_checkpoints=off",
    // Errors of statements go to the client only, because they contain members' data.
    "log_min_messages=log",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
  ];
}

/** In megabytes: a quarter of the memory, as PostgreSQL's manual recommends, from its default of 128 MB to 8 GB. */
function sharedBuffers(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  return Math.floor(Math.min(Math.max(memory / 4 / 2 ** 20, 128), 8192));
}

/** Another process took the port, or processes of a killed postmaster are still ending. */
const transientFailure =
  /Address already in use|lock file "postmaster\.pid" already exists|shared memory block .* still in use/;

/** Also stops the child when this process exits. */
function watchEnd(child: ChildProcess): Promise<string> {
  const stopChild = () => child.kill("SIGINT");
  process.on("exit", stopChild);
  return new Promise((resolve) => {
    const settle = (why: string) => {
      process.off("exit", stopChild);
      resolve(why);
    };
    child.once("error", (error) => settle(error.message));
    child.once("exit", (status, signal) => settle(`it ended with ${signal ?? `status ${status}`}`));
  });
}

async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill("SIGINT");
  const timers = [
    setTimeout(() => child.kill("SIGQUIT"), 30_000),
    setTimeout(() => child.kill("SIGKILL"), 60_000),
  ];
  await ended;
  for (const timer of timers) clearTimeout(timer);
}
