import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../transport/backoff.ts";
import { findBinaries } from "./binaries.ts";
import { openCluster, urlOf } from "./cluster.ts";
import { giveTo, openPrivateDirectory } from "./directory.ts";
import { stopOrphanedPostmaster } from "./orphan.ts";
import { type DirectoryLock, lockDirectory } from "./lock.ts";
import {
  type Postmaster,
  PostmasterFailure,
  type PostmasterSettings,
  startPostmaster,
} from "./postmaster.ts";
import { chooseRunAs } from "./run-as.ts";

export interface EmbeddedPostgresOptions {
  /** Created if missing, readable by its owner only. The service may keep further files in it. */
  readonly directory: string;
  /** False trades crash safety for speed; for tests only. Default: true. */
  readonly durable?: boolean;
  /** Receives each log line of PostgreSQL and its supervisor. No line contains a statement or a value. */
  readonly log?: (line: string) => void;
  /** Default: 100. */
  readonly maxConnections?: number;
}

/** A PostgreSQL that is restarted when it ends, until `stop`. */
export interface EmbeddedPostgres {
  /** Includes the password. Stays the same when PostgreSQL is restarted. */
  readonly url: string;
  /** Pid of the postmaster; undefined while it is being restarted. */
  pid(): number | undefined;
  /** Stops PostgreSQL and unlocks the directory. May be called again. */
  stop(): Promise<void>;
}

/** Wait before PostgreSQL is restarted. */
const restartBackoff = { firstMs: 50, maxMs: 5_000 };

/** Attempts at the first start. */
const maxAttempts = 30;

/**
 * Starts the PostgreSQL in a directory, which is created on first use, and keeps it running until `stop`. It listens on loopback
 * for one user, whose random password is in the directory. A PostgreSQL that a killed server left running is stopped first.
 * Throws if another process uses the directory, if no PostgreSQL is installed, or if it cannot run.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  const directory = await openPrivateDirectory(options.directory);
  const lock = await lockDirectory(directory);
  try {
    const durable = options.durable ?? true;
    const runAs = await chooseRunAs(directory, binaries);
    await giveTo(runAs, directory);
    const { dataDirectory, password } = await openCluster({ directory, binaries, runAs, durable });
    const settings = {
      binaries,
      runAs,
      dataDirectory,
      durable,
      maxConnections: options.maxConnections ?? 100,
      log: options.log ?? (() => undefined),
    };
    const { port, postmaster } = await startFirst(settings);
    const url = urlOf(port, password);
    return supervise({ ...settings, port }, postmaster, url, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

type Settings = Omit<PostmasterSettings, "ignorePid">;

async function startFirst(
  settings: Omit<Settings, "port">,
): Promise<{ port: number; postmaster: Postmaster }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return { port, postmaster: await startOnce({ ...settings, port }, new AbortController().signal) };
    } catch (error) {
      if (!(error instanceof PostmasterFailure && error.transient) || attempt === maxAttempts) throw error;
      await delay(Math.min(attempt * 20, 250));
    }
  }
}

async function startOnce(settings: Settings, signal: AbortSignal): Promise<Postmaster> {
  const ignorePid = await stopOrphanedPostmaster(settings.dataDirectory, settings.log);
  return startPostmaster({ ...settings, ignorePid }, signal);
}

function supervise(
  settings: Settings,
  first: Postmaster,
  url: string,
  lock: DirectoryLock,
): EmbeddedPostgres {
  const stopping = new AbortController();
  let current: Postmaster | undefined = first;

  const keepRunning = async (): Promise<void> => {
    while (current !== undefined) {
      const cause = await current.ended;
      current = undefined;
      if (stopping.signal.aborted) return;
      settings.log(`PostgreSQL ended unexpectedly (${cause}); restarting it`);
      current = await restart(settings, stopping.signal);
      // Stopped during the restart: `stop` did not see this postmaster.
      if (stopping.signal.aborted) await current?.end();
    }
  };
  const running = keepRunning();

  const stop = async (): Promise<void> => {
    stopping.abort();
    await current?.end();
    await running;
    lock.release();
  };
  let stopped: Promise<void> | undefined;
  return { url, pid: () => current?.pid, stop: () => (stopped ??= stop()) };
}

/** Retries until it succeeds, because the service cannot work without it. Undefined if the signal was aborted. */
async function restart(settings: Settings, signal: AbortSignal): Promise<Postmaster | undefined> {
  const backoff = new Backoff(restartBackoff);
  while (!signal.aborted) {
    try {
      await delay(backoff.nextMs(), undefined, { signal });
      const started = await startOnce(settings, signal);
      settings.log("PostgreSQL is back");
      return started;
    } catch (error) {
      if (!signal.aborted) settings.log(`PostgreSQL could not be restarted: ${String(error)}`);
    }
  }
  return undefined;
}

/** Asks the operating system for a free port on loopback. Another process may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen({ host: "127.0.0.1", port: 0, exclusive: true });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
