import type { ProjectId } from "../domain/ids.ts";
import type { Batcher } from "./batcher.ts";

/** Runs what arrives for one project in batches; what is for different projects does not wait for each other. */
export class ProjectBatchers<Item, Result> {
  readonly #open: (projectId: ProjectId) => Batcher<Item, Result>;
  readonly #batchers = new Map<ProjectId, Batcher<Item, Result>>();

  /** `open` makes the batcher of a project, for as long as something waits for it. */
  constructor(open: (projectId: ProjectId) => Batcher<Item, Result>) {
    this.#open = open;
  }

  /** Resolves with the item's own result, or rejects with its own failure. */
  async submit(projectId: ProjectId, item: Item): Promise<Result> {
    const batcher = this.#batchers.get(projectId) ?? this.#open(projectId);
    this.#batchers.set(projectId, batcher);
    try {
      return await batcher.submit(item);
    } finally {
      if (batcher.idle) this.#batchers.delete(projectId);
    }
  }
}
