import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { totalmem } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { Binaries } from "./binaries.ts";
import { type RunAs, command } from "./run-as.ts";

/** What to start, and how. */
export interface PostmasterSettings {
  readonly binaries: Binaries;
  readonly runAs: RunAs;
  readonly dataDirectory: string;
  readonly port: number;
  /** False gives up all safety against crashes for speed; for tests only. */
  readonly durable: boolean;
  readonly maxConnections: number;
  /** A pid that PostgreSQL finds in postmaster.pid and shall disregard. */
  readonly disregardPid: number | undefined;
  readonly log: (line: string) => void;
}

/** PostgreSQL's main process, ready for connections. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves, in words, when it has ended for whatever reason. */
  readonly ended: Promise<string>;
  /** Ends it: open transactions are rolled back, the rest is written. Returns when it is gone. */
  end(): Promise<void>;
}

/** Why a postmaster did not become ready. `passing`: another attempt, on another port, may succeed. */
export class PostmasterFailure extends Error {
  readonly passing: boolean;

  constructor(message: string, passing: boolean) {
    super(message);
    this.name = "PostmasterFailure";
    this.passing = passing;
  }
}

/** Recovery after a crash may take this long, in milliseconds; beyond, something is wrong. */
const readyWithin = 10 * 60_000;

/**
 * Starts PostgreSQL and waits until it takes connections.
 * It is detached, so that Ctrl-C at a terminal reaches the server alone, which ends it after its own drain;
 * a server that exits without that ends it too.
 * Throws PostmasterFailure; aborting the signal ends it while it starts.
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
  // PostgreSQL disregards the pid of its "grandparent", which serves here to name one that was reused.
  const grandparent =
    settings.disregardPid === undefined ? {} : { PG_GRANDPARENT_PID: `${settings.disregardPid}` };
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
  const given = AbortSignal.any([signal, AbortSignal.timeout(readyWithin)]);
  const first = await Promise.race([ready, ended, aborted(given)]);
  if (first === "ready" && child.pid !== undefined) {
    return { pid: child.pid, ended, end: () => end(child, ended) };
  }
  await end(child, ended);
  const why = given.aborted ? "it was told to stop, or was not ready in time" : first;
  const said = recent.join("\n");
  throw new PostmasterFailure(
    `PostgreSQL did not start on ${settings.dataDirectory}: ${why}\n${said}`,
    isPassing(said),
  );
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
    // The caller gets a failed statement's error; here it would put members' data into the log.
    "log_min_messages=log",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
  ];
}

/**
 * Megabytes in which PostgreSQL keeps pages at hand: a quarter of the memory, as its manual says, from its own default to 8 GB;
 * taken as they are used. With a million sessions a look-up by token costs it a third less than with the default.
 */
function sharedBuffers(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  return Math.floor(Math.min(Math.max(memory / 4 / 2 ** 20, 128), 8192));
}

/** Another process took the port; or processes of a killed postmaster are about to end. */
function isPassing(said: string): boolean {
  return /Address already in use|lock file "postmaster\.pid" already exists|shared memory block .* still in use/.test(
    said,
  );
}

/** Also ends the process when this one exits without having done so. */
function watchEnd(child: ChildProcess): Promise<string> {
  const endToo = () => child.kill("SIGINT");
  process.on("exit", endToo);
  return new Promise((resolve) => {
    const settle = (why: string) => {
      process.off("exit", endToo);
      resolve(why);
    };
    child.once("error", (error) => settle(error.message));
    child.once("exit", (status, signal) => settle(`it ended with ${signal ?? `status ${status}`}`));
  });
}

async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
    child.kill(signal);
    const patience = new AbortController();
    const timer = delay(30_000, "late", { signal: patience.signal }).catch(() => "late");
    const first = await Promise.race([ended, timer]);
    patience.abort();
    if (first !== "late") return;
  }
  await ended;
}

async function aborted(signal: AbortSignal): Promise<"aborted"> {
  if (!signal.aborted) await once(signal, "abort");
  return "aborted";
}
