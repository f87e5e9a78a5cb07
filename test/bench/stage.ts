import type { Bench } from "./bench.ts";
import { type StoredBetterAuth, storeBetterAuth } from "./data/better-auth.ts";
import { type StoredProject, crowds, storeProject } from "./data/stored-project.ts";
import type { BenchServer } from "./processes.ts";
import { type Constants, startConstants } from "./servers/constants.ts";
import { startSessiond } from "./sessiond.ts";

export interface Deployment {
  readonly server: BenchServer;
  readonly stored: StoredProject;
}

/** What scenarios share. Each part starts when it is first needed. */
export class Stage {
  readonly #bench: Bench;
  #constants: Promise<Constants> | undefined;
  #large: Promise<Deployment> | undefined;
  #betterAuth: Promise<StoredBetterAuth> | undefined;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  constants(): Promise<Constants> {
    return (this.#constants ??= startConstants(this.#bench));
  }

  /** A million sessions, and those of {@link crowds}. */
  large(): Promise<Deployment> {
    return (this.#large ??= this.#deploy("large", this.#bench.extent.large));
  }

  /** better-auth with as many sessions. */
  betterAuth(): Promise<StoredBetterAuth> {
    return (this.#betterAuth ??= storeBetterAuth(this.#bench, this.#bench.extent.large));
  }

  async #deploy(database: string, count: number): Promise<Deployment> {
    const stored = await storeProject(this.#bench, database, count, crowds(count));
    return { stored, server: await startSessiond(this.#bench, database) };
  }
}
