import type { Address } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Backoff } from "../../transport/backoff.ts";
import { type WorkerProcess, forkWorker } from "./worker-process.ts";

/** How a crew works. */
export interface CrewOptions {
  /** How many workers. */
  readonly size: number;
  /** Where they listen, together. Port 0: at one that the system chooses. */
  readonly listen: { readonly host: string; readonly port: number };
  /** What they have in their environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long they may take to stop, in milliseconds, before they are killed. */
  readonly patience: number;
  readonly log: Logger;
}

/** Wait before a worker that ended is replaced. */
const restartBackoff = { firstMs: 100, maxMs: 10_000 };

/** After so many milliseconds of service, a worker's end is no failure in a row with those before. */
const steady = 60_000;

/**
 * The workers of this process: as many as there should be, for as long as it runs. It holds the listening socket and hands
 * each connection to the next worker; a worker that ends takes only its own connections with it, and is replaced.
 */
export class Crew {
  readonly #options: CrewOptions;
  readonly #workers = new Set<WorkerProcess>();
  readonly #listening = new Set<WorkerProcess>();
  readonly #stopping = new AbortController();
  #at: Pick<Address, "address" | "port"> | undefined;
  #port: number;
  #kept: readonly Promise<void>[] = [];

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#port = options.listen.port;
    // An exit without a drain: nobody is to wait for them.
    process.on("exit", this.#killAll);
  }

  /** Starts them; resolves when all listen. Rejects, in words, when one cannot start. */
  async start(): Promise<{ readonly address: string; readonly port: number }> {
    // One goes first: what is wrong is wrong for all, and node's cluster fails when two are refused an address at once.
    const first = this.#fork();
    const at = (this.#at = await addressOf(first));
    const others = Array.from({ length: this.#options.size - 1 }, () => this.#fork());
    await Promise.all(others.map(addressOf));
    this.#kept = [first, ...others].map((worker) => this.#keep(worker));
    return at;
  }

  /** Has all of them drain and end; resolves when they are gone. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const worker of this.#workers) worker.stop();
    const impatient = setTimeout(() => {
      this.#options.log.error({ workers: pidsOf(this.#workers) }, "workers did not stop in time; killed");
      this.#killAll();
    }, this.#options.patience);
    await Promise.all([...Array.from(this.#workers, ({ ended }) => ended), ...this.#kept]);
    clearTimeout(impatient);
    process.off("exit", this.#killAll);
  }

  readonly #killAll = () => {
    for (const worker of this.#workers) worker.kill();
  };

  #fork(): WorkerProcess {
    const { listen, environment } = this.#options;
    const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
    const worker = forkWorker({ ...environment, SESSIOND_LISTEN: `${host}:${this.#port}` });
    this.#workers.add(worker);
    void worker.listening.then((at) => at !== undefined && this.#admit(worker, at.port));
    void worker.ended.then(() => this.#dismiss(worker));
    return worker;
  }

  /** A port that the system chose is theirs while one of them listens: whoever comes just as the last one ends gets another. */
  #admit(worker: WorkerProcess, port: number): void {
    if (this.#at !== undefined && this.#at.port !== port) worker.kill();
    else this.#listening.add(worker);
  }

  #dismiss(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    this.#listening.delete(worker);
    if (this.#at !== undefined && this.#listening.size === 0) this.#port = this.#at.port;
  }

  /** Replaces a worker, and its replacements, until the crew is stopped. */
  async #keep(worker: WorkerProcess): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = new Backoff(restartBackoff);
    for (let current = worker; ; current = this.#fork()) {
      const start = performance.now();
      const cause = await current.ended;
      if (signal.aborted) return;
      if (performance.now() - start >= steady) backoff.reset();
      const wait = backoff.nextMs();
      const fields = { worker: current.pid, cause, wait_ms: Math.round(wait) };
      this.#options.log.error(fields, "a worker ended; another takes its place");
      await delay(wait, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }
}

async function addressOf(worker: WorkerProcess): Promise<Pick<Address, "address" | "port">> {
  const at = await worker.listening;
  if (at === undefined) throw new Error(await worker.ended);
  return at;
}

function pidsOf(workers: Iterable<WorkerProcess>): readonly (number | undefined)[] {
  return Array.from(workers, ({ pid }) => pid);
}
