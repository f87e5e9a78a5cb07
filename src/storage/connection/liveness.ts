import { translatingFailures } from "./database-errors.ts";

/**
 * Notices when the database answers. Whoever only wants to know whether it does need not wait in line for a connection of their
 * own: when there are many in line, they would wait for long, though the database answers all the time.
 */
export class Answers {
  readonly #waiting = new Set<() => void>();

  /** Asks the database with `operation`; its outages become DATABASE_UNAVAILABLE. */
  readonly to = async <T>(operation: () => Promise<T>): Promise<T> => {
    const answer = await translatingFailures(operation);
    if (this.#waiting.size > 0) this.#tell();
    return answer;
  };

  /** Asks with `operation`, and resolves with the next answer that anybody gets, if that comes first. Rejects as `operation` does. */
  async any(operation: () => Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await Promise.race([promise, translatingFailures(operation)]);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
  }
}
