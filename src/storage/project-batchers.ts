import type { ProjectId } from "../domain/ids.ts";
import { type BatchLimits, Batcher } from "./batcher.ts";
import { translatingFailures } from "./unavailable.ts";

/** Runs what arrives for one project in batches; what is for different projects does not wait for each other. */
export class ProjectBatchers<Item, Result> {
  readonly #run: (projectId: ProjectId, items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #limits: BatchLimits;
  readonly #batchers = new Map<ProjectId, Batcher<Item, Result>>();

  /** `run` answers each item at its own place; an outage of the database in it is told as DATABASE_UNAVAILABLE. */
  constructor(
    run: (projectId: ProjectId, items: readonly Item[]) => Promise<readonly Result[]>,
    limits: BatchLimits,
  ) {
    this.#run = run;
    this.#limits = limits;
  }

  /** Resolves with the item's own result, or rejects with its own failure. */
  async submit(projectId: ProjectId, item: Item): Promise<Result> {
    const batcher = this.#batchers.get(projectId) ?? this.#open(projectId);
    try {
      return await batcher.submit(item);
    } finally {
      if (batcher.idle) this.#batchers.delete(projectId);
    }
  }

  #open(projectId: ProjectId): Batcher<Item, Result> {
    const batcher = new Batcher<Item, Result>(
      (items) => translatingFailures(() => this.#run(projectId, items)),
      this.#limits,
    );
    this.#batchers.set(projectId, batcher);
    return batcher;
  }
}
