import type { Bench } from "./bench.ts";
import { type Constants, startConstants } from "./constants.ts";
import { type StoredBetterAuth, storeBetterAuth } from "./data/better-auth.ts";
import { crowds } from "./data/crowds.ts";
import { type StoredProject, storeProject } from "./data/stored-project.ts";
import { type Sessiond, startSessiond } from "./sessiond.ts";

/** A server, and what is stored in its database. */
export interface Deployment {
  readonly server: Sessiond;
  readonly stored: StoredProject;
}

/** What several scenarios play on, made when the first of them needs it. */
export class Stage {
  readonly #bench: Bench;
  #constants: Promise<Constants> | undefined;
  #large: Promise<Deployment> | undefined;
  #betterAuth: Promise<StoredBetterAuth> | undefined;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** Servers that answer a constant. */
  constants(): Promise<Constants> {
    return (this.#constants ??= startConstants(this.#bench));
  }

  /** A million sessions, and crowds besides. */
  large(): Promise<Deployment> {
    return (this.#large ??= this.#deploy("large", this.#bench.extent.large));
  }

  /** The peer, with as many. */
  betterAuth(): Promise<StoredBetterAuth> {
    return (this.#betterAuth ??= storeBetterAuth(this.#bench, this.#bench.extent.large));
  }

  async #deploy(database: string, count: number): Promise<Deployment> {
    const stored = await storeProject(this.#bench, database, count, crowds(count));
    return { stored, server: await startSessiond(this.#bench, database) };
  }
}
