import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../transport/backoff.ts";
import { findBinaries } from "./binaries.ts";
import { openCluster, userName } from "./cluster.ts";
import { giveTo, openPrivateDirectory } from "./directory.ts";
import { freePort } from "./free-port.ts";
import { endLeftover } from "./orphan.ts";
import { type DirectoryLock, lockDirectory } from "./lock.ts";
import {
  type Postmaster,
  PostmasterFailure,
  type PostmasterSettings,
  startPostmaster,
} from "./postmaster.ts";
import { chooseRunAs } from "./run-as.ts";

/** Where the embedded PostgreSQL keeps its files, and how it runs. */
export interface EmbeddedPostgresOptions {
  /** Created, readable by its owner alone, if missing. The server may keep other files of its own in it. */
  readonly directory: string;
  /** False trades all safety against crashes for speed; for tests only. True by default. */
  readonly durable?: boolean;
  /** Takes each line that PostgreSQL or its supervisor has to say; none holds a statement or a value. */
  readonly log?: (line: string) => void;
  /** 100 by default. */
  readonly maxConnections?: number;
}

/** A PostgreSQL that lives as long as this process, and is started again when it ends before. */
export interface EmbeddedPostgres {
  /** How to connect, password included; stays the same when PostgreSQL is started again. */
  readonly url: string;
  /** Its main process now, or undefined while it is being started again. */
  pid(): number | undefined;
  /** Ends it and lets go of the directory. Returns when it is gone; safe to call again. */
  stop(): Promise<void>;
}

/** Wait before PostgreSQL is started again. */
const restartBackoff = { firstMs: 50, maxMs: 5_000 };

/** How often the first start is tried again after a passing failure. */
const attempts = 30;

/**
 * Starts the PostgreSQL in a directory, creating it on first use, and keeps it running until `stop`.
 *
 * It listens on loopback, for one user with a random password that lies in the directory. Whatever a killed
 * server left behind there is cleaned up first. Throws, in words, when another process has the directory, on
 * a platform without embedded PostgreSQL, and where PostgreSQL cannot run.
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
    const url = `postgres://${userName}:${password}@127.0.0.1:${port}/postgres`;
    return supervise({ ...settings, port }, postmaster, url, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

type Settings = Omit<PostmasterSettings, "disregardPid">;

async function startFirst(
  settings: Omit<Settings, "port">,
): Promise<{ port: number; postmaster: Postmaster }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return { port, postmaster: await startOnce({ ...settings, port }, new AbortController().signal) };
    } catch (error) {
      if (!(error instanceof PostmasterFailure && error.passing) || attempt === attempts) throw error;
      await delay(Math.min(attempt * 20, 250));
    }
  }
}

async function startOnce(settings: Settings, signal: AbortSignal): Promise<Postmaster> {
  const disregardPid = await endLeftover(settings.dataDirectory, settings.log);
  return startPostmaster({ ...settings, disregardPid }, signal);
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
      const why = await current.ended;
      current = undefined;
      if (stopping.signal.aborted) return;
      settings.log(`PostgreSQL ended unexpectedly (${why}); starting it again`);
      current = await startAgain(settings, stopping.signal);
      // Told to stop just as it was ready: nobody else knows of it yet.
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
  return {
    url,
    pid: () => current?.pid,
    stop: () => (stopped ??= stop()),
  };
}

/** Tries for as long as it takes, as the service can do nothing without; undefined only when told to stop. */
async function startAgain(settings: Settings, signal: AbortSignal): Promise<Postmaster | undefined> {
  const backoff = new Backoff(restartBackoff);
  while (!signal.aborted) {
    try {
      await delay(backoff.nextMs(), undefined, { signal });
      const started = await startOnce(settings, signal);
      settings.log("PostgreSQL is back");
      return started;
    } catch (error) {
      if (!signal.aborted) settings.log(`PostgreSQL could not be started again: ${String(error)}`);
    }
  }
  return undefined;
}
