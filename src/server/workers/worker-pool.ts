import type { Address } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Backoff } from "../../transport/backoff.ts";
import { type WorkerProcess, forkWorker } from "./worker-process.ts";

export interface WorkerPoolOptions {
  readonly size: number;
  /** Address that all workers share. Port 0 takes a free port; without a host it is every address. */
  readonly listen: { readonly host: string | undefined; readonly port: number };
  /** Variables of the workers besides those of this process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Time to stop, after which workers are killed. */
  readonly stopTimeoutMs: number;
  readonly log: Logger;
}

/** Wait before a worker that ended is replaced. */
const restartBackoff = { firstMs: 100, maxMs: 10_000 };

/** A worker that ran this long ends a series of failures. */
const stableAfterMs = 60_000;

/**
 * Keeps a fixed number of workers running. This process holds the listening socket and gives each connection to the next worker.
 * A worker that ends takes only its own connections with it, and is replaced.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #workers = new Set<WorkerProcess>();
  readonly #listening = new Set<WorkerProcess>();
  readonly #stopping = new AbortController();
  #at: Pick<Address, "address" | "port"> | undefined;
  #port: number;
  #supervision: readonly Promise<void>[] = [];

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#port = options.listen.port;
    // An exit without a drain must not leave workers behind.
    process.on("exit", this.#killAll);
  }

  /** Resolves when all workers listen; rejects with the cause if one cannot start. */
  async start(): Promise<{ readonly address: string; readonly port: number }> {
    // One first: a failure would affect all, and node:cluster fails if two workers are refused an address at once.
    const first = this.#fork();
    const at = (this.#at = await addressOf(first));
    const others = Array.from({ length: this.#options.size - 1 }, () => this.#fork());
    await Promise.all(others.map(addressOf));
    this.#supervision = [first, ...others].map((worker) => this.#superviseSlot(worker));
    return at;
  }

  /** Drains all workers; resolves when they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const worker of this.#workers) worker.stop();
    const timer = setTimeout(() => {
      const workers = Array.from(this.#workers, ({ pid }) => pid);
      this.#options.log.error({ workers }, "workers did not stop in time; killed");
      this.#killAll();
    }, this.#options.stopTimeoutMs);
    await Promise.all([...Array.from(this.#workers, ({ ended }) => ended), ...this.#supervision]);
    clearTimeout(timer);
    process.off("exit", this.#killAll);
  }

  readonly #killAll = () => {
    for (const worker of this.#workers) worker.kill();
  };

  #fork(): WorkerProcess {
    const { environment } = this.#options;
    const { host: given = "" } = this.#options.listen;
    const host = given.includes(":") ? `[${given}]` : given;
    const worker = forkWorker({ ...environment, SESSIOND_LISTEN: `${host}:${this.#port}` });
    this.#workers.add(worker);
    void worker.listening.then((at) => at !== undefined && this.#onListening(worker, at.port));
    void worker.ended.then(() => this.#onExit(worker));
    return worker;
  }

  /** Port 0 reserves its port only while a worker listens: a worker started after the last one ended may get another port. */
  #onListening(worker: WorkerProcess, port: number): void {
    if (this.#at !== undefined && this.#at.port !== port) worker.kill();
    else this.#listening.add(worker);
  }

  #onExit(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    this.#listening.delete(worker);
    if (this.#at !== undefined && this.#listening.size === 0) this.#port = this.#at.port;
  }

  /** Replaces a worker and its successors until the pool is stopped. */
  async #superviseSlot(worker: WorkerProcess): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = new Backoff(restartBackoff);
    for (let current = worker; ; current = this.#fork()) {
      const start = performance.now();
      const cause = await current.ended;
      if (signal.aborted) return;
      if (performance.now() - start >= stableAfterMs) backoff.reset();
      const waitMs = backoff.nextMs();
      const fields = { worker: current.pid, cause, wait_ms: Math.round(waitMs) };
      this.#options.log.error(fields, "a worker ended; another takes its place");
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }
}

async function addressOf(worker: WorkerProcess): Promise<Pick<Address, "address" | "port">> {
  const at = await worker.listening;
  if (at === undefined) throw new Error(await worker.ended);
  // Node.js reports null if no host was configured. Every address includes this one, with IPv6 and without.
  const address: string | null = at.address;
  return { address: address ?? "0.0.0.0", port: at.port };
}
